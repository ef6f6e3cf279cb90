targetScope = 'subscription'

metadata description = 'A resource group, and in it what main.bicep makes.'

import { agent as agentType, existing as existingType, job as jobType } from 'types.bicep'

@description('Everything is named after this. It has letters, digits and single hyphens, begins with a letter and ends with no hyphen. Capitals become small letters; underscores and dots become hyphens.')
@minLength(3)
@maxLength(20)
param name string

@description('Everything is made in this region.')
param location string

@description('Everything that is made gets these tags.')
param tags { *: string } = {}

@description('Queues are made on this service. A queue that exists already is of the service that its id names.')
@allowed(['storage', 'servicebus'])
param queueService string = 'storage'

@description('The storage account is replicated like this. `Standard_LRS` is for regions without zones.')
@allowed(['Standard_ZRS', 'Standard_LRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('A registry is made unless one is named in `existing`. With false there is none: image and components are public.')
param makeRegistry bool = true

@description('Jobs run this image. The default does nothing. It is there until the first image has been built.')
param image string = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

@description('Every job gets these properties, unless it has its own.')
param job jobType = {}

@description('One job is made for each element. The default is one job that drains one queue.')
@minLength(1)
param jobs jobType[] = [{}]

@description('These resources exist already and stay as they are. What is not named is made.')
param existing existingType = {}

@description('With false no role is assigned and no role is made. The output `rolesToAssign` then has the `az` commands for somebody who may.')
param assignRoles bool = true

@description('This is the role definition by which a worker may renew its leases on Storage, as a GUID. Without it a custom role of three actions is made.')
param renewRole string = ''

@description('KEDA counts the messages of a Service Bus queue or subscription by this role, a GUID. It is unverified which least role that is: kedacore/keda issue 7822. Azure Service Bus Data Receiver, which the worker has anyway, allows reading the queue.')
param serviceBusScalerRole string = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'

@description('Whoever has this principal id may send messages, redrive poison messages and start executions. Empty means nobody. azd fills in whoever deploys.')
param operatorPrincipalId string = ''

@description('This is what the operator is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

@description('This address gets a mail when executions fail, and when messages are poisoned, wait or are rejected. Empty means nobody.')
param alertEmail string = ''

@description('With true the jobs send traces and metrics to Azure Monitor, by their identity and without a key. A workspace for metrics, an Application Insights component, the way to both and a second workbook are made. This is a preview of Azure, and unverified.')
param azureMonitor bool = false

@description('The managed OpenTelemetry agent of the environment that is made sends what the jobs measure here, in the place of `azureMonitor`. It is unverified whether the agent serves jobs.')
param telemetryAgent agentType = {}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${toLower(replace(replace(name, '_', '-'), '.', '-'))}'
  location: location
  tags: tags
}

module longshore 'main.bicep' = {
  scope: group
  params: {
    name: name
    location: location
    tags: tags
    queueService: queueService
    storageSku: storageSku
    makeRegistry: makeRegistry
    image: image
    job: job
    jobs: jobs
    existing: existing
    assignRoles: assignRoles
    renewRole: renewRole
    serviceBusScalerRole: serviceBusScalerRole
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    alertEmail: alertEmail
    azureMonitor: azureMonitor
    telemetryAgent: telemetryAgent
  }
}

output AZURE_RESOURCE_GROUP string = longshore.outputs.AZURE_RESOURCE_GROUP
output AZURE_CONTAINER_REGISTRY_NAME string = longshore.outputs.AZURE_CONTAINER_REGISTRY_NAME
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = longshore.outputs.AZURE_CONTAINER_REGISTRY_ENDPOINT
output LONGSHORE_NAME string = longshore.outputs.LONGSHORE_NAME
output LONGSHORE_JOB string = longshore.outputs.LONGSHORE_JOB
output LONGSHORE_QUEUE string = longshore.outputs.LONGSHORE_QUEUE
output jobs { name: string, id: string, queue: string }[] = longshore.outputs.jobs
output rolesToAssign string[] = longshore.outputs.rolesToAssign
