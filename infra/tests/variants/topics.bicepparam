using '../../main.bicep'

param name = 'long-shore'
param queueService = 'servicebus'
param operatorPrincipalId = '33333333-3333-3333-3333-333333333333'
param jobs = [
  {
    topicName: 'Orders'
    subscriptionName: 'billing'
    lockSeconds: 90
    rules: [
      { name: 'large', sql: 'amount > 100', action: 'SET large = true' }
      { name: 'of-eu', correlation: { label: 'order', properties: { region: 'eu' } } }
    ]
    outboxes: [{ name: 'done', topicName: 'done' }, { name: 'again', topicName: 'orders' }]
  }
  { name: 'all', topicName: 'orders', subscriptionName: 'archive' }
  { name: 'queue', queueName: 'plain' }
]
