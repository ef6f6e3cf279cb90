metadata description = 'A job that runs longshore, twice: KEDA starts the one when the queue holds messages, somebody starts the other by hand.'

import { job, memoryMib } from '../types.bicep'
import { assignmentName, containerHost, isSubscription, queueUrl, secretUrl, serviceOf } from '../ids.bicep'

@description('The job is called this. The one that is started by hand has `-manual` behind it.')
@minLength(2)
@maxLength(25)
param name string

@description('All properties of the job, its defaults filled in.')
param settings job

param environmentId string

@description('This identity pulls the image, reads the queue and scales the job.')
param identityId string

@description('This is the client id of the same identity.')
param identityClientId string

@description('Without a registry everybody may pull the image.')
param hasRegistry bool

@description('The identity pulls from this login server.')
param registryServer string

@description('The job drains this queue or subscription, by its resource id.')
param queueId string

@description('Handlers may use these containers, by their resource ids.')
param containers { id: string, access: string }[]

@description('With true traces, logs and metrics go to Azure Monitor, by the addresses below.')
param azureMonitor bool
param tracesEndpoint string
param logsEndpoint string
param metricsEndpoint string

@description('This principal may start and stop executions. Nobody if it is empty.')
param operatorPrincipalId string
param operatorPrincipalType string

param location string
param tags { *: string }

var roles = loadJsonContent('../roles.json')
var cpu = settings.cpu!
var mebibytes = memoryMib[cpu]
var lease = settings.lease!
var handlerMemoryMib = settings.handlerMemoryMib!
var deadlineSeconds = settings.deadlineSeconds!
var timeBudgetSeconds = settings.timeBudgetSeconds!
var graceSeconds = settings.graceSeconds!
var workloadProfile = settings.workloadProfile!
var maxMessages = settings.maxMessages!
var outboxes = settings.outboxes!
// A secret is called after its variable: small letters, digits and hyphens.
var secrets = toObject(settings.secrets!, it => it.variable, it => 'secret-${toLower(replace(it.variable, '_', '-'))}')

var identityGrants = concat(
  settings.httpIdentity!,
  map(containers, it => '${it.access == 'read' ? 'GET,HEAD ' : ''}${containerHost(it.id)}')
)

// The host admits no more handlers than fit beside itself and beside each other. It counts what the host takes, and for each handler
// its stack and what it hands over beside its memory; where these are granted, HTTP bodies and messages for outboxes as well.
@export()
@description('The host takes so many MiB.')
var hostMib = 112
@export()
@description('A handler takes so many MiB beside its memory.')
var besideMib = 4
var grantedMib = (empty(concat(settings.allowHttp!, identityGrants, settings.httpHeader!)) ? 0 : 10) + (empty(outboxes)
  ? 0
  : 1)
var fitting = max(1, (mebibytes - hostMib) / (handlerMemoryMib + besideMib + grantedMib))
// A session is worked on by one handler at a time.
var admitted = min(settings.concurrency!, fitting)
var handlersAtOnce = min(admitted, settings.?sessions ?? admitted)

// ACA counts from the replica's creation, so pulling the image and starting are inside; then the run, then what SIGTERM leaves it:
// grace, a receive in flight and settlement. Shorter than that, ACA would kill a run that keeps to its own limits.
var startSeconds = 120
var stopSeconds = graceSeconds + 10
var replicaTimeout = startSeconds + timeBudgetSeconds + stopSeconds

// How long a run waits for a retry of its own. Where leases are fixed their end is the retry, a deadline and 30 s away: waiting for less
// leaves it to executions that KEDA starts at each poll until then, and that find nothing.
var lingerSeconds = lease == 'fixed' ? deadlineSeconds + 30 : 30

// KEDA starts ceil(messages / queueLength) executions less those that run. Finished ones do not count, so that a length below what
// an execution takes starts executions that find the queue empty, and pay for their start.
var taken = (handlersAtOnce * min(settings.busySeconds!, timeBudgetSeconds - deadlineSeconds) * 1000) / settings.handlingMs!
var queueLength = max(1, maxMessages == 0 ? taken : min(taken, maxMessages))

// Counting stays KEDA's default, invisible messages included: a message that is being handled, or waits for its retry, is the reason
// for the execution that runs.
var parts = split(queueId, '/')
var onStorage = serviceOf(queueId) == 'storage'
var metadata = onStorage
  ? { accountName: parts[8], queueName: last(parts), queueLength: string(queueLength) }
  : {
      namespace: parts[8]
      ...(isSubscription(queueId) ? { topicName: parts[10], subscriptionName: last(parts) } : { queueName: last(parts) })
      messageCount: string(queueLength)
    }

var once = { parallelism: 1, replicaCompletionCount: 1 }
var triggers = [
  {
    name: name
    triggerType: 'Event'
    eventTriggerConfig: {
      ...once
      scale: {
        minExecutions: 0
        maxExecutions: settings.maxExecutions!
        pollingInterval: settings.pollingIntervalSeconds!
        rules: [
          {
            name: 'queue'
            type: onStorage ? 'azure-queue' : 'azure-servicebus'
            identity: identityId
            metadata: metadata
          }
        ]
      }
    }
    manualTriggerConfig: null
  }
  // For a run with other flags, beside what KEDA starts. It costs nothing while nobody starts it.
  { name: '${name}-manual', triggerType: 'Manual', eventTriggerConfig: null, manualTriggerConfig: once }
]

// Azure Monitor takes OTLP over HTTP alone. It wants what was measured since the last time, and exponential histograms.
var ofAzureMonitor = azureMonitor
  ? {
      OTEL_SERVICE_NAME: name
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf'
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta'
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram'
    }
  : {}
var given = {
  LONGSHORE_COMPONENT: settings.?component ?? ''
  LONGSHORE_CONCURRENCY: string(admitted)
  LONGSHORE_MEMORY: string(handlerMemoryMib)
  LONGSHORE_DEADLINE: '${deadlineSeconds}s'
  LONGSHORE_TIME_BUDGET: '${timeBudgetSeconds}s'
  LONGSHORE_GRACE: '${graceSeconds}s'
  LONGSHORE_MAX_DEQUEUE: string(settings.maxDequeue!)
  LONGSHORE_MAX_MESSAGES: maxMessages == 0 ? '' : string(maxMessages)
  LONGSHORE_LEASE: lease
  LONGSHORE_LINGER: '${lingerSeconds}s'
  LONGSHORE_LOG_FORMAT: 'json'
  LONGSHORE_OUTPUT: 'json'
  LONGSHORE_ALLOW_HTTP: join(settings.allowHttp!, '\n')
  LONGSHORE_HTTP_HEADER: join(settings.httpHeader!, '\n')
  LONGSHORE_ALLOW_PRIVATE: join(settings.allowPrivate!, '\n')
  LONGSHORE_CONFIG: join(map(items(settings.config!), it => '${it.key}=${it.value}'), '\n')
  LONGSHORE_ENV: join(map(items(settings.env!), it => '${it.key}=${it.value}'), '\n')
  LONGSHORE_OUTBOX_ENCODING: join(
    map(filter(outboxes, it => it.?encoding != null), it => '${it.name}=${it.?encoding ?? ''}'),
    '\n'
  )
  LONGSHORE_SESSIONS: string(settings.?sessions ?? '')
  LONGSHORE_SESSION_IDLE: settings.?sessionIdle ?? ''
  LONGSHORE_ON_POISON: settings.?onPoison ?? ''
  LONGSHORE_POISON_LOG: string(settings.?poisonLog ?? '')
  LONGSHORE_TELEMETRY_FLUSH: settings.?telemetryFlush ?? ''
  LONGSHORE_TRACE: settings.?trace ?? ''
  ...settings.variables!
  ...ofAzureMonitor
  ...settings.otel!
}
// Each value stands for itself, so that a prediction shows what is known of the others.
var names = concat(
  ['AZURE_CLIENT_ID', 'LONGSHORE_QUEUE'],
  empty(outboxes) ? [] : ['LONGSHORE_OUTBOX'],
  empty(identityGrants) ? [] : ['LONGSHORE_HTTP_IDENTITY'],
  settings.?poisonQueueId == null ? [] : ['LONGSHORE_POISON_QUEUE'],
  azureMonitor ? filter(objectKeys(endpoints), it => !contains(settings.otel!, it)) : [],
  map(filter(items(given), it => !empty(it.?value)), it => it.key),
  map(settings.secrets!, it => it.variable)
)
var outboxLines = join(map(outboxes, it => '${it.name}=${it.?url ?? queueUrl(it.?queueId ?? '')}'), '\n')
var identityLines = join(identityGrants, '\n')
var endpoints = {
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: tracesEndpoint
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: logsEndpoint
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: metricsEndpoint
}
var poisonUrl = queueUrl(settings.?poisonQueueId ?? queueId)

resource jobs 'Microsoft.App/jobs@2026-07-01' = [
  for each in triggers: {
    name: each.name
    location: location
    tags: tags
    identity: {
      type: 'UserAssigned'
      userAssignedIdentities: { '${identityId}': {} }
    }
    properties: {
      environmentId: environmentId
      workloadProfileName: empty(workloadProfile) ? null : workloadProfile
      configuration: {
        triggerType: each.triggerType
        replicaTimeout: replicaTimeout
        // The host settles its failures itself; what makes it fail is not cured by running it again.
        replicaRetryLimit: 0
        secrets: map(settings.secrets!, it => {
          name: secrets[it.variable]
          keyVaultUrl: it.?keyVaultUrl ?? secretUrl(it.?secretId ?? '')
          identity: identityId
        })
        registries: hasRegistry ? [{ server: registryServer, identity: identityId }] : []
        eventTriggerConfig: each.eventTriggerConfig
        manualTriggerConfig: each.manualTriggerConfig
      }
      template: {
        containers: [
          {
            name: 'longshore'
            image: settings.image!
            resources: {
              cpu: json(cpu)
              // Such as 1.5Gi: there are whole and half ones.
              memory: '${mebibytes / 1024}${mebibytes % 1024 == 0 ? '' : '.5'}Gi'
            }
            env: [
              for it in names: {
                name: it
                // Without the client id ACA looks for a system-assigned identity, which the job has not.
                value: contains(secrets, it)
                  ? null
                  : it == 'AZURE_CLIENT_ID'
                      ? identityClientId
                      : it == 'LONGSHORE_QUEUE'
                          ? queueUrl(queueId)
                          : it == 'LONGSHORE_OUTBOX'
                              ? outboxLines
                              : it == 'LONGSHORE_HTTP_IDENTITY'
                                  ? identityLines
                                  : it == 'LONGSHORE_POISON_QUEUE' ? poisonUrl : given[?it] ?? endpoints[?it]
                secretRef: secrets[?it]
              }
            ]
          }
        ]
      }
    }
  }
]

resource operate 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (each, i) in triggers: if (!empty(operatorPrincipalId)) {
    scope: jobs[i]
    name: assignmentName(jobs[i].id, operatorPrincipalId, roles.ContainerAppsJobsOperator)
    properties: {
      principalId: operatorPrincipalId
      principalType: operatorPrincipalType
      roleDefinitionId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        roles.ContainerAppsJobsOperator
      )
    }
  }
]
