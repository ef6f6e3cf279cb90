using '../../main.bicep'

param name = 'long-shore'
param job = {
  queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues/orders'
  makePoisonQueue: true
}
param operatorPrincipalId = '11111111-2222-3333-4444-555555555555'
