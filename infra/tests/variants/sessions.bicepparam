using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
param job = { requiresSession: true, sessions: 4, sessionIdle: '2s', onPoison: 'stop', maxExecutions: 5 }
param jobs = [
  { topicName: 'orders', subscriptionName: 'billing' }
  { name: 'queue' }
]
