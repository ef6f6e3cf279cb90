using '../../main.bicep'

param name = 'long-shore'
param existing = {
  identityId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs'
  registryId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ContainerRegistry/registries/theirs'
  identityPulls: true
  environmentId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.App/managedEnvironments/theirs'
  workspaceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.OperationalInsights/workspaces/theirs'
}
param job = {
  queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues/orders'
  poisonQueueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues/orders-failed'
}
param renewRole = '22222222-2222-2222-2222-222222222222'
