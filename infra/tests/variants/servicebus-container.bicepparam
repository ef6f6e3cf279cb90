using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
param job = { containers: [{ name: 'claims', access: 'write' }] }
