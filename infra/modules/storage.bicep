metadata description = 'The storage account, its queue and poison queue, and who may do what with each of them.'

@description('Unique in all of Azure; lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@allowed(['Standard_ZRS', 'Standard_LRS', 'Standard_GRS', 'Standard_GZRS'])
param sku string

@minLength(3)
@maxLength(56)
param queueName string

@description('Principal id of the identity that handles messages and counts them for KEDA.')
param workerPrincipalId string

@description('renew: the worker may extend its leases. fixed: the stricter mode, in which it may receive and delete only.')
@allowed(['renew', 'fixed'])
param lease string

@description('Principal id of whoever sends, looks at and redrives messages by hand; empty: nobody.')
param operatorPrincipalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string

param location string
param tags { *: string }

var roles = loadJsonContent('../roles.json')
var groupId = resourceGroup().id
var queueData = 'Microsoft.Storage/storageAccounts/queueServices/queues'

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  // checkov:skip=CKV_AZURE_35: the environment has no network of its own, hence no address to let in; every request needs a role on its queue
  // checkov:skip=CKV_AZURE_206: a queue is emptied within minutes: three zones are enough, a copy in another region would be stale messages
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-08-01' = {
  parent: account
  name: 'default'
}

resource work 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-08-01' = {
  parent: queues
  name: queueName
}

resource poison 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-08-01' = {
  parent: queues
  name: '${queueName}-poison'
}

// Renewing, delaying and releasing a message is Update Message, which Message Processor does not allow. The built-in role that
// does, Storage Queue Data Contributor, also allows deleting the queue; hence a role of three actions.
resource workerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (lease == 'renew') {
  name: guid(groupId, 'longshore-queue-worker')
  properties: {
    // Role names are unique in a tenant.
    roleName: 'Longshore queue worker ${uniqueString(groupId)}'
    description: 'Receive, renew, release and delete messages of one queue'
    type: 'CustomRole'
    assignableScopes: [groupId]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          '${queueData}/messages/read'
          '${queueData}/messages/process/action'
          '${queueData}/messages/write'
        ]
        notDataActions: []
      }
    ]
  }
}

var processorRole = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  roles.StorageQueueDataMessageProcessor
)
var renewerRole = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', workerRole.name)

resource handle 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: work
  name: guid(work.id, workerPrincipalId, lease)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: lease == 'renew' ? renewerRole : processorRole
  }
}

// KEDA scales with the worker's identity, and reads the number of messages.
resource count 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: work
  name: guid(work.id, workerPrincipalId, roles.StorageQueueDataReader)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.StorageQueueDataReader)
  }
}

resource poisonCopy 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: poison
  name: guid(poison.id, workerPrincipalId, roles.StorageQueueDataMessageSender)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.StorageQueueDataMessageSender
    )
  }
}

// Shared keys are off, so that owning the account is not enough to send a message: a person needs roles as well.
resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: work
  name: guid(work.id, operatorPrincipalId, roles.StorageQueueDataMessageSender)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.StorageQueueDataMessageSender
    )
  }
}

resource look 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: work
  name: guid(work.id, operatorPrincipalId, roles.StorageQueueDataReader)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.StorageQueueDataReader)
  }
}

resource lookAtPoison 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: poison
  name: guid(poison.id, operatorPrincipalId, roles.StorageQueueDataReader)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.StorageQueueDataReader)
  }
}

resource redrive 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: poison
  name: guid(poison.id, operatorPrincipalId, roles.StorageQueueDataMessageProcessor)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: processorRole
  }
}

output queueUrl string = '${account.properties.primaryEndpoints.queue}${queueName}'
