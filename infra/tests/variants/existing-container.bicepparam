using '../../main.bicep'

param name = 'long-shore'
param job = {
  containers: [
    {
      containerId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/blobServices/default/containers/claims'
      access: 'read'
    }
  ]
}
