using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
param job = { requiresSession: true, sessions: 4, sessionIdle: '2s', onPoison: 'stop', maxExecutions: 5 }
param jobs = [
  {}
  { name: 'topic', topicName: 'orders', subscriptionName: 'billing' }
]
