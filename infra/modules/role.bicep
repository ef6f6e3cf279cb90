metadata description = 'The custom role by which a worker may renew its leases on a Storage queue.'

param name string
param roleName string
param actions string[]

@description('The role can be assigned in these resource groups, by their ids.')
param groupIds string[]

resource workerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: name
  properties: {
    roleName: roleName
    description: 'Receive, renew, release and delete messages of one queue'
    type: 'CustomRole'
    assignableScopes: groupIds
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: actions
        notDataActions: []
      }
    ]
  }
}
