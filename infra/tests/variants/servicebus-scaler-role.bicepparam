using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
param serviceBusScalerRole = '090c5cfd-751d-490a-894a-3ce6f1109419'
