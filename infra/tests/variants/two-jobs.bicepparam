using '../../main.bicep'

param name = 'long-shore'
param job = { cpu: '1.0' }
param jobs = [
  {}
  { name: 'invoices', queueName: 'invoices', lease: 'fixed', cpu: '0.25' }
  {
    name: 'theirs'
    queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ServiceBus/namespaces/theirs/queues/mails'
  }
]
