using '../../main.bicep'

param name = 'long-shore'
param operatorPrincipalId = '33333333-3333-3333-3333-333333333333'
param job = {
  queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ServiceBus/namespaces/theirs/topics/Orders/subscriptions/Billing'
  outboxes: [
    {
      name: 'done'
      queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ServiceBus/namespaces/theirs/topics/done'
    }
  ]
}
