using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
