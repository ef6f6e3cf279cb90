using '../../main.bicep'

param name = 'long-shore'
param job = {
  queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ServiceBus/namespaces/theirs/queues/Orders'
}
