metadata description = 'One role on one queue, topic, subscription, container, registry, secret or data collection rule, assigned in its resource group.'

import { assignmentName, segment, typeOf } from '../ids.bicep'

@description('This is the resource id of that.')
param id string
@description('This is the role definition, as a GUID.')
param role string
param principalId string
param principalType string

var type = typeOf(id)
var properties = {
  principalId: principalId
  principalType: principalType
  roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
}
var assignment = assignmentName(id, principalId, role)
var name = last(split(id, '/'))

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: segment(id, 8)

  resource queues 'queueServices' existing = {
    name: 'default'

    resource queue 'queues' existing = {
      name: name
    }
  }

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: name
    }
  }
}

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.storage/storageaccounts/blobservices/containers') {
  scope: account::blobs::container
  name: assignment
  properties: properties
}

resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.storage/storageaccounts/queueservices/queues') {
  scope: account::queues::queue
  name: assignment
  properties: properties
}

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: segment(id, 8)

  resource queue 'queues' existing = {
    name: name
  }

  resource topic 'topics' existing = {
    // Names are looked at for other ids as well, and none may be empty.
    name: empty(segment(id, 10)) ? name : segment(id, 10)

    resource subscription 'subscriptions' existing = {
      name: name
    }
  }
}

resource onServiceBus 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.servicebus/namespaces/queues') {
  scope: namespace::queue
  name: assignment
  properties: properties
}

resource onTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.servicebus/namespaces/topics') {
  scope: namespace::topic
  name: assignment
  properties: properties
}

resource onSubscription 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.servicebus/namespaces/topics/subscriptions') {
  scope: namespace::topic::subscription
  name: assignment
  properties: properties
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: segment(id, 8)
}

resource onRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.containerregistry/registries') {
  scope: registry
  name: assignment
  properties: properties
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: segment(id, 8)

  resource secret 'secrets' existing = {
    name: name
  }
}

resource onSecret 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.keyvault/vaults/secrets') {
  scope: vault::secret
  name: assignment
  properties: properties
}

resource collection 'Microsoft.Insights/dataCollectionRules@2024-03-11' existing = {
  name: segment(id, 8)
}

resource onCollection 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.insights/datacollectionrules') {
  scope: collection
  name: assignment
  properties: properties
}
