targetScope = 'resourceGroup'

metadata description = 'Container Apps jobs that drain queues with longshore, in a resource group that is there.'

import { agent as agentType, defaults, existing as existingType, job as jobType } from 'types.bicep'
import { agentProblems, guidProblems, idProblems, jobProblems, nameProblems, queueProblems, topicProblems } from 'checks.bicep'
import { queueIdOf, queueUrl, segment, serviceOf, subscriptionIdOf, topicIdOf } from 'ids.bicep'

@description('Everything is named after this. It has letters, digits and single hyphens, begins with a letter and ends with no hyphen. Capitals become small letters; underscores and dots become hyphens.')
@minLength(3)
@maxLength(20)
param name string

@description('Everything is made in this region. The default is that of the resource group.')
param location string = resourceGroup().location

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

var nothing = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

// What was asked for, and what is wrong with it. Null and an empty text are as good as nothing, but for a profile.
var known = toObject(filter(items(existing), it => string(it.value ?? '') != ''), it => it.key, it => it.value)
var wanted = [
  for each in jobs: shallowMerge(flatten([
    [defaults, { image: empty(image) ? nothing : image }]
    map(
      [job, each],
      said =>
        toObject(
          filter(items(said), it => it.value != null && (it.key == 'workloadProfile' || string(it.value) != '')),
          it => it.key,
          it => it.value
        )
    )
  ]))
]
var mended = toLower(replace(replace(name, '_', '-'), '.', '-'))
var jobNames = [for each in wanted: empty(each.?name) ? mended : '${mended}-${toLower(each.?name ?? '')}']
var queueKeys = [
  for each in wanted: toLower(each.?queueId ?? '${queueService} ${each.?topicName == null ? each.queueName : '${each.?topicName ?? ''}/${each.?subscriptionName ?? ''}'}')
]
// As `queueKeys` has them.
var poisonKeys = [
  for (each, i) in wanted: (empty(each.?queueId) ? queueService : serviceOf(each.?queueId ?? '')) == 'storage'
    ? toLower(each.?poisonQueueId ?? '${queueKeys[i]}-poison')
    : ''
]
var problemsOfJobs = [
  for (each, i) in wanted: concat(
    jobProblems(each, jobNames[i]),
    nameProblems(jobNames[i]),
    each.?poisonQueueId != null && toLower(each.?poisonQueueId ?? '') == toLower(each.?queueId ?? '')
      ? ['${jobNames[i]}: the poison queue is the queue itself, so that what is poisoned would come back for ever.']
      : [],
    length(jobNames[i]) > 25 ? ['The name of the job "${jobNames[i]}" is longer than 25 characters.'] : [],
    empty(each.?queueId) && empty(each.?topicName) ? queueProblems(queueService, each.queueName) : [],
    map(
      concat(
        topicProblems(queueService, each),
        flatten(map(
          filter(each.outboxes, it => !empty(it.?queueName)),
          it => queueProblems(queueService, it.?queueName ?? '')
        ))
      ),
      problem => '${jobNames[i]}: ${problem}'
    ),
    each.makePoisonQueue && serviceOf(each.?queueId ?? '') != 'storage'
      ? ['${jobNames[i]}: makePoisonQueue is for a Storage queue that exists already, by its queueId.']
      : [],
    each.?poisonQueueId != null && (each.makePoisonQueue || serviceOf(each.?queueId ?? '') != 'storage' || serviceOf(each.?poisonQueueId ?? '') != 'storage')
      ? [
          '${jobNames[i]}: poisonQueueId "${each.?poisonQueueId ?? ''}" has to be a Storage queue, beside a queueId of Storage and without makePoisonQueue.'
        ]
      : []
  )
]
var problems = union(
  nameProblems(mended),
  flatten([
    flatten(problemsOfJobs)
    length(union(jobNames, map(jobNames, it => '${it}-manual'))) < 2 * length(jobs)
      ? ['Two jobs have one name; give each a name of its own. Each has another one behind which "-manual" stands.']
      : []
    length(union(queueKeys, [])) < length(jobs) ? ['Two jobs drain one queue; one job with more executions does that.'] : []
    empty(intersection(queueKeys, poisonKeys))
      ? []
      : ['A job drains the poison queue of another one, so that what was poisoned would be handled as work.']
    idProblems('identityId', known.?identityId, 'Microsoft.ManagedIdentity/userAssignedIdentities')
    idProblems('registryId', known.?registryId, 'Microsoft.ContainerRegistry/registries')
    idProblems('environmentId', known.?environmentId, 'Microsoft.App/managedEnvironments')
    idProblems('workspaceId', known.?workspaceId, 'Microsoft.OperationalInsights/workspaces')
    idProblems('subnetId', known.?subnetId, 'Microsoft.Network/virtualNetworks/subnets')
    guidProblems('renewRole', renewRole)
    guidProblems('serviceBusScalerRole', serviceBusScalerRole)
    guidProblems('operatorPrincipalId', operatorPrincipalId)
    (known.?identityPulls ?? false) && (known.?identityId == null || known.?registryId == null)
      ? ['identityPulls is about an identity and a registry that exist already; name both.']
      : []
    known.?environmentId != null && known.?subnetId != null
      ? ['An environment that exists already has its network; leave out subnetId or environmentId.']
      : []
    agentProblems(telemetryAgent)
    !empty(telemetryAgent) && (azureMonitor || known.?environmentId != null)
      ? ['telemetryAgent is for an environment that is made, and without azureMonitor; leave out one of them.']
      : []
    azureMonitor && !hasLogs
      ? [
          'azureMonitor needs a place for spans; name the workspace of the environment that exists already as workspaceId.'
        ]
      : []
    !empty(alertEmail) && !hasLogs
      ? ['alertEmail needs the logs of the environment that exists already; name its workspace as workspaceId.']
      : []
  ])
)
var base = empty(problems) ? mended : fail(join(problems, ' '))
var letters = replace(base, '-', '')
// 13 letters and digits.
// A region and a group are the same however they are written.
var unique = uniqueString(toLower(resourceGroup().id), base, toLower(replace(location, ' ', '')))
var accountName = '${take(letters, 24 - 13)}${unique}'
var namespaceName = '${base}-${unique}'
var scalerRole = empty(serviceBusScalerRole)
  ? loadJsonContent('roles.json').AzureServiceBusDataReceiver
  : serviceBusScalerRole
var makesWorkspace = known.?workspaceId == null && known.?environmentId == null
var hasLogs = known.?workspaceId != null || makesWorkspace

// Where each queue is, and which of them are made.
var queueIds = [
  for each in wanted: each.?queueId ?? (empty(each.?topicName)
    ? queueIdOf(
        resourceGroup().id,
        queueService,
        queueService == 'storage' ? accountName : namespaceName,
        each.queueName
      )
    : subscriptionIdOf(resourceGroup().id, namespaceName, each.?topicName ?? '', each.?subscriptionName ?? ''))
]
var made = filter(wanted, each => each.?queueId == null && empty(each.?topicName))
var madeSubscriptions = filter(wanted, each => each.?queueId == null && !empty(each.?topicName))
var outboxes = [
  for each in wanted: map(
    each.outboxes,
    it =>
      empty(it.?queueName) && empty(it.?topicName)
        ? it
        : {
            name: it.name
            encoding: it.?encoding
            queueId: empty(it.?topicName)
              ? queueIdOf(
                  resourceGroup().id,
                  queueService,
                  queueService == 'storage' ? accountName : namespaceName,
                  it.?queueName ?? ''
                )
              : topicIdOf(resourceGroup().id, namespaceName, it.?topicName ?? '')
          }
  )
]
var allOutboxes = flatten(map(wanted, each => each.outboxes))
// Handlers send to these. One may be the queue of a job.
var madeOutboxes = filter(union(map(filter(allOutboxes, it => !empty(it.?queueName)), it => it.?queueName ?? ''), []), it => !contains(map(made, each => toLower(each.queueName)), toLower(it)))
// Several jobs may drain one topic, and handlers may send to it.
var topicNames = concat(
  map(madeSubscriptions, each => each.?topicName ?? ''),
  map(filter(allOutboxes, it => !empty(it.?topicName)), it => it.?topicName ?? '')
)
var madeTopics = filter(topicNames, (it, i) => indexOf(map(topicNames, each => toLower(each)), toLower(it)) == i)
var accountId = '${resourceGroup().id}/providers/Microsoft.Storage/storageAccounts/${accountName}'
var containers = [
  for each in wanted: map(each.containers, it => {
    id: it.?containerId ?? '${accountId}/blobServices/default/containers/${it.name}'
    access: it.access
  })
]
// Two jobs may use one container.
var madeContainers = union(
  map(filter(flatten(map(wanted, each => each.containers)), it => it.?containerId == null), it => it.name),
  []
)
var madeQueues = queueService == 'storage' ? map(made, each => each.queueName) : []

resource theirIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (known.?identityId != null) {
  name: last(split(known.?identityId ?? base, '/'))
  scope: resourceGroup(
    segment(known.?identityId ?? resourceGroup().id, 2),
    segment(known.?identityId ?? resourceGroup().id, 4)
  )
}

module identity 'modules/identity.bicep' = if (known.?identityId == null) {
  params: { name: '${base}-id', location: location, tags: tags }
}

var identityId = known.?identityId ?? resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${base}-id')
var workerPrincipalId = known.?identityId == null
  ? identity!.outputs.principalId
  : theirIdentity!.properties.principalId
var workerClientId = known.?identityId == null ? identity!.outputs.clientId : theirIdentity!.properties.clientId

resource theirRegistry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = if (known.?registryId != null) {
  name: last(split(known.?registryId ?? base, '/'))
  scope: resourceGroup(
    segment(known.?registryId ?? resourceGroup().id, 2),
    segment(known.?registryId ?? resourceGroup().id, 4)
  )
}

module registry 'modules/registry.bicep' = if (known.?registryId == null && makeRegistry) {
  params: { name: '${letters}${unique}', location: location, tags: tags }
}

var registryId = known.?registryId ?? (makeRegistry
  ? resourceId('Microsoft.ContainerRegistry/registries', '${letters}${unique}')
  : '')
// That of a registry may have more in it than its name.
var registryServer = known.?registryId != null
  ? theirRegistry!.properties.loginServer
  : (makeRegistry ? '${letters}${unique}${environment().suffixes.acrLoginServer}' : '')

var sentTo = queueService == 'storage' ? madeOutboxes : []

module storage 'modules/storage.bicep' = if (!empty(concat(madeQueues, sentTo, madeContainers))) {
  params: {
    name: accountName
    sku: storageSku
    queueNames: concat(flatten(map(madeQueues, it => [it, '${it}-poison'])), sentTo)
    containerNames: madeContainers
    location: location
    tags: tags
  }
}

module servicebus 'modules/servicebus.bicep' = if (queueService == 'servicebus' && !empty(concat(
  made,
  madeOutboxes,
  madeTopics
))) {
  params: {
    name: namespaceName
    queues: concat(
      map(made, each => {
        name: each.queueName
        maxDequeue: each.maxDequeue
        lockSeconds: each.lockSeconds
        requiresSession: each.requiresSession
      }),
      map(madeOutboxes, it => {
        name: it
        maxDequeue: defaults.maxDequeue
        lockSeconds: defaults.lockSeconds
        requiresSession: defaults.requiresSession
      })
    )
    topicNames: madeTopics
    subscriptions: map(madeSubscriptions, each => {
      topicName: each.?topicName ?? ''
      name: each.?subscriptionName ?? ''
      maxDequeue: each.maxDequeue
      lockSeconds: each.lockSeconds
      requiresSession: each.requiresSession
      rules: each.rules
    })
    location: location
    tags: tags
  }
}

module poisonQueues 'modules/poison-queue.bicep' = [
  for (each, i) in wanted: if (each.makePoisonQueue) {
    scope: resourceGroup(segment(queueIds[i], 2), segment(queueIds[i], 4))
    params: { account: segment(queueIds[i], 8), queueName: '${last(split(queueIds[i], '/'))}-poison' }
  }
]

module logs 'modules/logs.bicep' = if (makesWorkspace) {
  params: { name: '${base}-logs', location: location, tags: tags }
}

var workspaceId = known.?workspaceId ?? resourceId('Microsoft.OperationalInsights/workspaces', '${base}-logs')

module appEnvironment 'modules/environment.bicep' = if (known.?environmentId == null) {
  params: {
    name: '${base}-env'
    workspaceId: workspaceId
    subnetId: known.?subnetId
    agent: telemetryAgent
    location: location
    tags: tags
  }
  dependsOn: [logs]
}

module telemetry 'modules/telemetry.bicep' = if (azureMonitor) {
  params: { name: base, workspaceId: workspaceId, location: location, tags: tags }
  dependsOn: [logs]
}

var collectionRuleId = azureMonitor ? resourceId('Microsoft.Insights/dataCollectionRules', '${base}-otlp') : ''

module grants 'modules/grants.bicep' = {
  params: {
    base: base
    assignRoles: assignRoles
    renewRole: renewRole
    scalerRole: scalerRole
    registryId: known.?identityPulls ?? false ? '' : registryId
    queues: map(range(0, length(jobs)), i => {
      id: queueIds[i]
      poisonId: wanted[i].?poisonQueueId ?? '${queueIds[i]}-poison'
      lease: wanted[i].lease
    })
    outboxIds: map(filter(flatten(outboxes), it => it.?queueId != null), it => it.?queueId ?? '')
    containers: flatten(containers)
    secretIds: flatten(map(wanted, each => map(filter(each.secrets, it => it.?secretId != null), it => it.secretId)))
    collectionRuleId: collectionRuleId
    jobIds: flatten(map(
      jobNames,
      it => [resourceId('Microsoft.App/jobs', it), resourceId('Microsoft.App/jobs', '${it}-manual')]
    ))
    workerPrincipalId: workerPrincipalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
  dependsOn: [registry, storage, servicebus, poisonQueues, telemetry]
}

module workers 'modules/job.bicep' = [
  for (each, i) in wanted: {
    params: {
      name: jobNames[i]
      settings: shallowMerge([each, { outboxes: outboxes[i] }])
      environmentId: known.?environmentId ?? resourceId('Microsoft.App/managedEnvironments', '${base}-env')
      identityId: identityId
      identityClientId: workerClientId
      hasRegistry: !empty(registryId)
      registryServer: registryServer
      queueId: queueIds[i]
      containers: containers[i]
      azureMonitor: azureMonitor
      tracesEndpoint: azureMonitor ? telemetry!.outputs.tracesEndpoint : ''
      logsEndpoint: azureMonitor ? telemetry!.outputs.logsEndpoint : ''
      metricsEndpoint: azureMonitor ? telemetry!.outputs.metricsEndpoint : ''
      operatorPrincipalId: assignRoles ? operatorPrincipalId : ''
      operatorPrincipalType: operatorPrincipalType
      location: location
      tags: tags
    }
    // An image is pulled and a queue is counted as soon as the job is there.
    dependsOn: [appEnvironment, grants]
  }
]

module workbooks 'modules/workbook.bicep' = [
  for each in jobNames: if (hasLogs) {
    params: {
      jobName: each
      title: 'executions and messages'
      key: 'workbook'
      content: loadTextContent('workbook.json')
      workspaceId: workspaceId
      location: location
      tags: tags
    }
    dependsOn: [logs]
  }
]

module traceWorkbooks 'modules/workbook.bicep' = [
  for each in jobNames: if (azureMonitor) {
    params: {
      jobName: each
      title: 'traces'
      key: 'traces'
      content: loadTextContent('workbook-traces.json')
      workspaceId: workspaceId
      location: location
      tags: tags
    }
    dependsOn: [logs]
  }
]

module alerts 'modules/alert.bicep' = [
  for (each, i) in jobNames: if (hasLogs) {
    params: {
      jobName: each
      workspaceId: workspaceId
      email: alertEmail
      oldestMessageMinutes: wanted[i].oldestMessageMinutes
      location: location
      tags: tags
    }
    dependsOn: [logs]
  }
]

// Azure Monitor has such a number for Service Bus, and none for a queue of a storage account.
module deadLetterAlerts 'modules/dead-letters.bicep' = [
  for (each, i) in jobNames: if (hasLogs && serviceOf(queueIds[i]) == 'servicebus') {
    params: {
      jobName: each
      queueId: queueIds[i]
      actionGroupId: empty(alertEmail) ? '' : resourceId('Microsoft.Insights/actionGroups', '${each}-people')
      tags: tags
    }
    dependsOn: [servicebus, alerts]
  }
]

// azd keeps outputs as variables of its environment, under these names; its hook and Make read them.
output AZURE_RESOURCE_GROUP string = resourceGroup().name
output AZURE_CONTAINER_REGISTRY_NAME string = last(split(registryId, '/'))
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registryServer
output LONGSHORE_NAME string = base
output LONGSHORE_JOB string = resourceId('Microsoft.App/jobs', jobNames[0])
output LONGSHORE_QUEUE string = queueUrl(queueIds[0])
@description('Every job and its queue.')
output jobs { name: string, id: string, queue: string }[] = [
  for (each, i) in jobNames: { name: each, id: resourceId('Microsoft.App/jobs', each), queue: queueUrl(queueIds[i]) }
]
@description('With `assignRoles = false`, somebody who may assign roles runs these commands.')
output rolesToAssign string[] = grants.outputs.commands
