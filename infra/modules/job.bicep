metadata description = 'A job that runs longshore: started by KEDA when the queue holds messages, or by hand.'

@minLength(2)
@maxLength(31)
param name string

@description('Event: KEDA starts executions by the length of the queue. Manual: somebody does.')
@allowed(['Event', 'Manual'])
param trigger string

@description('Resource id of the Container Apps environment.')
param environmentId string

@description('Resource id of the identity that pulls the image, reads the queue and scales the job.')
param identityId string

@description('Client id of the same identity.')
param identityClientId string

@description('Login server of the registry that the identity pulls from.')
param registryServer string

param image string

@description('The queue, as `longshore run --queue` takes it.')
param queueUrl string

@description('KEDA\'s scaler for the queue: `azure-queue` or `azure-servicebus`.')
@allowed(['azure-queue', 'azure-servicebus'])
param scaler string

@description('Storage account or Service Bus namespace of the queue, by its bare name.')
param queueAccount string

param queueName string

@description('Cores of a replica; it gets 2 GiB of memory for each. The memory decides how many handlers fit beside each other.')
@allowed(['0.25', '0.5', '0.75', '1.0', '1.25', '1.5', '1.75', '2.0'])
param cpu string

@description('Messages that one execution handles at once, if as many handlers fit into its memory.')
@minValue(1)
@maxValue(1000)
param concurrency int

@description('What a handler may have of memory, in MiB.')
@minValue(1)
@maxValue(4096)
param handlerMemoryMib int

@description('What a handler takes for an ordinary message, in milliseconds.')
@minValue(1)
param handlingMs int

@description('For how many seconds of work one execution is started.')
@minValue(1)
param busySeconds int

@description('What a handler may take for one message, in seconds.')
@minValue(1)
param deadlineSeconds int

@description('What an execution may last, its last deadline included, in seconds.')
param timeBudgetSeconds int

@description('What running handlers have after SIGTERM, in seconds. ACA kills 30 s after it; up to 3 s go to a receive in flight, 5 s to settlement.')
@minValue(0)
@maxValue(22)
param graceSeconds int

@description('How often a message may be received before it goes to the poison queue.')
@minValue(1)
param maxDequeue int

@description('What one execution receives at most; 0: no limit.')
@minValue(0)
param maxMessages int

@allowed(['renew', 'fixed'])
param lease string

@minValue(1)
param maxExecutions int

@description('How often KEDA looks at the queue, in seconds.')
@minValue(1)
param pollingIntervalSeconds int

@description('Principal id of whoever starts and stops executions; empty: nobody but those who may change the job.')
param operatorPrincipalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string

param location string
param tags object

var roles = loadJsonContent('../roles.json')

var memory = {
  '0.25': '0.5Gi'
  '0.5': '1Gi'
  '0.75': '1.5Gi'
  '1.0': '2Gi'
  '1.25': '2.5Gi'
  '1.5': '3Gi'
  '1.75': '3.5Gi'
  '2.0': '4Gi'
}

var memoryMib = {
  '0.25': 512
  '0.5': 1024
  '0.75': 1536
  '1.0': 2048
  '1.25': 2560
  '1.5': 3072
  '1.75': 3584
  '2.0': 4096
}

// The host admits no more handlers than fit beside itself and beside each other. It counts what the
// host takes, and for each handler its stack and what it hands over beside its memory.
var hostMib = 112
var besideMib = 4
var fitting = max(1, (memoryMib[cpu] - hostMib) / (handlerMemoryMib + besideMib))
var admitted = min(concurrency, fitting)

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
var taken = (admitted * min(busySeconds, timeBudgetSeconds - deadlineSeconds) * 1000) / handlingMs
var queueLength = max(1, maxMessages == 0 ? taken : min(taken, maxMessages))

// Counting stays KEDA's default, invisible messages included: a message that is being handled, or waits for its retry, is the reason
// for the execution that runs.
var metadataOf = {
  'azure-queue': {
    accountName: queueAccount
    queueName: queueName
    queueLength: string(queueLength)
  }
  'azure-servicebus': {
    namespace: queueAccount
    queueName: queueName
    messageCount: string(queueLength)
  }
}

var eventTrigger = {
  parallelism: 1
  replicaCompletionCount: 1
  scale: {
    minExecutions: 0
    maxExecutions: maxExecutions
    pollingInterval: pollingIntervalSeconds
    rules: [
      { name: 'queue', type: scaler, identity: identityId, metadata: metadataOf[scaler] }
    ]
  }
}

var manualTrigger = {
  parallelism: 1
  replicaCompletionCount: 1
}

// Every flag of `longshore run` has such a variable. The component's place is in the image.
var variables = [
  // Without it ACA looks for a system-assigned identity, which the job has not.
  { name: 'AZURE_CLIENT_ID', value: identityClientId }
  { name: 'LONGSHORE_QUEUE', value: queueUrl }
  { name: 'LONGSHORE_CONCURRENCY', value: string(admitted) }
  { name: 'LONGSHORE_MEMORY', value: string(handlerMemoryMib) }
  { name: 'LONGSHORE_DEADLINE', value: '${deadlineSeconds}s' }
  { name: 'LONGSHORE_TIME_BUDGET', value: '${timeBudgetSeconds}s' }
  { name: 'LONGSHORE_GRACE', value: '${graceSeconds}s' }
  { name: 'LONGSHORE_MAX_DEQUEUE', value: string(maxDequeue) }
  { name: 'LONGSHORE_LEASE', value: lease }
  { name: 'LONGSHORE_LINGER', value: '${lingerSeconds}s' }
  { name: 'LONGSHORE_LOG_FORMAT', value: 'json' }
  { name: 'LONGSHORE_OUTPUT', value: 'json' }
]
var limit = [
  { name: 'LONGSHORE_MAX_MESSAGES', value: string(maxMessages) }
]

resource job 'Microsoft.App/jobs@2026-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: trigger
      replicaTimeout: replicaTimeout
      // The host settles its failures itself; what makes it fail is not cured by running it again.
      replicaRetryLimit: 0
      registries: [
        { server: registryServer, identity: identityId }
      ]
      eventTriggerConfig: trigger == 'Event' ? eventTrigger : null
      manualTriggerConfig: trigger == 'Manual' ? manualTrigger : null
    }
    template: {
      containers: [
        {
          name: 'longshore'
          image: image
          resources: {
            cpu: json(cpu)
            memory: memory[cpu]
          }
          env: concat(variables, maxMessages == 0 ? [] : limit)
        }
      ]
    }
  }
}

resource operate 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: job
  name: guid(job.id, operatorPrincipalId, roles.ContainerAppsJobsOperator)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.ContainerAppsJobsOperator)
  }
}

output id string = job.id
