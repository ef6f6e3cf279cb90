targetScope = 'subscription'

metadata description = 'A queue, and a Container Apps job that drains it with longshore.'

@description('What everything is named after: letters, digits and single hyphens, first a letter and last no hyphen. azd allows more: capitals become small letters, underscores and dots become hyphens; anything else is refused by the service.')
@minLength(3)
@maxLength(20)
param name string

param location string

param tags object = {}

@description('Which kind of queue.')
@allowed(['storage', 'servicebus'])
param queueService string = 'storage'

@description('How the storage account is replicated: over three zones, unless the region has none (Standard_LRS).')
@allowed(['Standard_ZRS', 'Standard_LRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@minLength(3)
@maxLength(56)
param queueName string = 'orders'

@description('renew: the worker may extend its leases, by a custom role of three actions on the one queue. fixed: the stricter mode, with Storage Queue Data Message Processor only; a lease then lasts the deadline and 30 s, and its end is the retry. Service Bus has no such difference.')
@allowed(['renew', 'fixed'])
param lease string = 'renew'

@description('The image. The default does nothing, and is there for the time until `make azure-image` has built the first one.')
param image string = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

@allowed(['0.25', '0.5', '0.75', '1.0', '1.25', '1.5', '1.75', '2.0'])
param cpu string = '0.5'

@minValue(1)
param maxExecutions int = 10

@minValue(1)
param pollingIntervalSeconds int = 30

@minValue(1)
@maxValue(1000)
param concurrency int = 16

@minValue(1)
@maxValue(4096)
param handlerMemoryMib int = 128

@description('What a handler takes for an ordinary message, in milliseconds: from the workbook, once there are numbers.')
@minValue(1)
param handlingMs int = 500

@description('For how many seconds of work one execution is started. About what a start takes is right: shorter, and starting costs more than working; longer, and a burst waits.')
@minValue(1)
param busySeconds int = 30

@minValue(1)
param deadlineSeconds int = 30

@minValue(60)
@maxValue(86400)
param timeBudgetSeconds int = 1200

@minValue(0)
@maxValue(22)
param graceSeconds int = 20

@minValue(1)
param maxDequeue int = 5

@minValue(0)
param maxMessages int = 0

@description('Unverified, for Service Bus only: the role by which KEDA counts messages; see modules/servicebus.bicep.')
param serviceBusScalerRole string = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'

@description('Whoever sends messages, redrives poison messages and starts executions by hand; empty: nobody. azd fills in whoever deploys.')
param operatorPrincipalId string = ''

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

@description('Who gets a mail when executions fail; empty: nobody.')
param alertEmail string = ''

var onServiceBus = queueService == 'servicebus'
var base = toLower(replace(replace(name, '_', '-'), '.', '-'))
var letters = replace(base, '-', '')
// 13 letters and digits.
var unique = uniqueString(subscription().id, base, location)
var accountName = '${take(letters, 24 - 13)}${unique}'
var namespaceName = '${base}-${unique}'

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${base}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: '${base}-id', location: location, tags: tags }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: group
  params: {
    name: '${letters}${unique}'
    pullerPrincipalId: identity.outputs.principalId
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = if (!onServiceBus) {
  name: 'storage'
  scope: group
  params: {
    name: accountName
    sku: storageSku
    queueName: queueName
    workerPrincipalId: identity.outputs.principalId
    lease: lease
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    location: location
    tags: tags
  }
}

module servicebus 'modules/servicebus.bicep' = if (onServiceBus) {
  name: 'servicebus'
  scope: group
  params: {
    name: namespaceName
    queueName: queueName
    workerPrincipalId: identity.outputs.principalId
    maxDequeue: maxDequeue
    scalerRole: serviceBusScalerRole
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    location: location
    tags: tags
  }
}

module logs 'modules/logs.bicep' = {
  name: 'logs'
  scope: group
  params: { name: '${base}-logs', location: location, tags: tags }
}

module environment 'modules/environment.bicep' = {
  name: 'environment'
  scope: group
  params: { name: '${base}-env', workspaceId: logs.outputs.id, location: location, tags: tags }
}

// Of the two only one is there.
var storageQueueUrl = storage!.outputs.queueUrl
var servicebusQueueUrl = servicebus!.outputs.queueUrl
var queueUrl = onServiceBus ? servicebusQueueUrl : storageQueueUrl

// KEDA starts executions of the first; the second is the same, started by hand: for a run with other flags, beside what KEDA starts.
// It costs nothing while nobody starts it.
var jobs = [
  { name: base, trigger: 'Event' }
  { name: '${base}-manual', trigger: 'Manual' }
]

module job 'modules/job.bicep' = [for each in jobs: {
  name: 'job-${toLower(each.trigger)}'
  scope: group
  params: {
    name: each.name
    trigger: each.trigger
    environmentId: environment.outputs.id
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    registryServer: registry.outputs.server
    image: image
    queueUrl: queueUrl
    scaler: onServiceBus ? 'azure-servicebus' : 'azure-queue'
    queueAccount: onServiceBus ? namespaceName : accountName
    queueName: queueName
    cpu: cpu
    concurrency: concurrency
    handlerMemoryMib: handlerMemoryMib
    handlingMs: handlingMs
    busySeconds: busySeconds
    deadlineSeconds: deadlineSeconds
    timeBudgetSeconds: timeBudgetSeconds
    graceSeconds: graceSeconds
    maxDequeue: maxDequeue
    maxMessages: maxMessages
    lease: lease
    maxExecutions: maxExecutions
    pollingIntervalSeconds: pollingIntervalSeconds
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    location: location
    tags: tags
  }
}]

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: { jobName: base, workspaceId: logs.outputs.id, location: location, tags: tags }
}

module alert 'modules/alert.bicep' = {
  name: 'alert'
  scope: group
  params: { jobName: base, workspaceId: logs.outputs.id, email: alertEmail, location: location, tags: tags }
}

// azd keeps these as variables of its environment, under these names; its hook and `make azure-image` read them.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_CONTAINER_REGISTRY_NAME string = registry.outputs.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.server
output LONGSHORE_JOB_NAME string = base
output LONGSHORE_JOB string = job[0].outputs.id
output LONGSHORE_QUEUE string = queueUrl
