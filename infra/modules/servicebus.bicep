metadata description = 'The Service Bus namespace and queue, in place of a Storage queue, and who may do what with it.'

@description('Unique in all of Azure.')
@minLength(6)
@maxLength(50)
param name string

param queueName string

@description('Principal id of the identity that handles messages and counts them for KEDA.')
param workerPrincipalId string

@description('How often longshore receives a message before it dead-letters it.')
param maxDequeue int

@description('Unverified: which least role lets KEDA count the messages of a queue by identity is an open question (kedacore/keda issue 7822). A role definition\'s GUID, assigned on the queue; Azure Service Bus Data Receiver, which the worker has anyway, allows reading the queue.')
param scalerRole string

@description('Principal id of whoever sends and redrives messages by hand; empty: nobody.')
param operatorPrincipalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string

param location string
param tags { *: string }

var roles = loadJsonContent('../roles.json')
var receiver = roles.AzureServiceBusDataReceiver

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource work 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' = {
  parent: namespace
  name: queueName
  properties: {
    lockDuration: 'PT1M'
    // The host dead-letters first, and says why; the service's own limit is for messages that no host ever settles.
    maxDeliveryCount: maxDequeue + 5
    // Expired messages would vanish without a trace.
    deadLetteringOnMessageExpiration: true
  }
}

resource handle 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: work
  name: guid(work.id, workerPrincipalId, receiver)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiver)
  }
}

resource count 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (scalerRole != receiver) {
  scope: work
  name: guid(work.id, workerPrincipalId, scalerRole, 'scaler')
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', scalerRole)
  }
}

resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: work
  name: guid(work.id, operatorPrincipalId, roles.AzureServiceBusDataSender)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.AzureServiceBusDataSender)
  }
}

// The dead-letter queue is part of the queue, and so is the right to receive from it.
resource redrive 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: work
  name: guid(work.id, operatorPrincipalId, receiver)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiver)
  }
}

output queueUrl string = 'sb://${name}.servicebus.windows.net/${queueName}'
