metadata description = 'What a job can be told, and what already existing resources are called.'

@export()
@description('A queue that handlers may send messages to.')
@sealed()
type outbox = {
  @description('This is what handlers call the queue.')
  name: string
  @description('The queue of this name is made, on the service of the deployment. Give this, `queueId` or `url`.')
  queueName: string?
  @description('This is the URL of a queue that exists already. Roles on it are your business.')
  url: string?
  @description('This is the resource id of a queue that exists already. The worker gets the role to send to it.')
  queueId: string?
  @description('This is how bodies are written. The trigger of Azure Functions expects `base64` in a Storage queue. The default is text.')
  encoding: ('text' | 'base64')?
}

@export()
@description('A variable of the host whose value is in a key vault. No value is in the template, and handlers do not see it.')
@sealed()
type secret = {
  @description('This is what `httpHeader` calls it, such as `API_KEY`.')
  @minLength(1)
  variable: string
  @description('This is the resource id of the secret, `…/Microsoft.KeyVault/vaults/NAME/secrets/NAME`. The worker gets the role to read this one secret.')
  secretId: string?
  @description('This is the URL of the secret, `https://NAME.vault.azure.net/secrets/NAME`. Roles on it are your business. Give either this or `secretId`.')
  keyVaultUrl: string?
}

@export()
@description('A blob container that handlers may use, with the role and the grant for it.')
@sealed()
type container = {
  @description('The container of this name is made, in the storage account of the deployment.')
  name: string?
  @description('This is the resource id of a container that exists already, also in another group or subscription. Give either this or `name`.')
  containerId: string?
  @description('With `read` handlers may send `GET` and `HEAD`, and the worker is Storage Blob Data Reader on the container. With `write` they may send all methods, and it is Storage Blob Data Contributor.')
  access: ('read' | 'write')
}

@export()
@description('A job and its queue. Every property can be left out.')
@sealed()
type job = {
  @description('The job is called after the deployment, a hyphen and this. One job of a deployment needs no name.')
  @minLength(1)
  @maxLength(21)
  name: string?

  @description('The queue of this name is made, and its poison queue. The default is orders.')
  @minLength(1)
  @maxLength(260)
  queueName: string?
  @description('This is the resource id of a queue that exists already, also in another group or subscription. It is not changed. Only roles on it are assigned.')
  queueId: string?
  @description('A Storage queue that exists already needs a poison queue beside it, called after it and `-poison`. With true it is made. The default is false.')
  makePoisonQueue: bool?
  @description('This is the resource id of its poison queue, where that is called otherwise. It exists already.')
  poisonQueueId: string?
  @description('With `renew` the worker may extend its leases, by a custom role of three actions. With `fixed` it may only receive and delete, and a lease lasts the deadline and 30 s. Service Bus has no such difference. The default is renew.')
  lease: ('renew' | 'fixed')?

  @description('This image is run. The default is that of the deployment.')
  image: string?
  @description('This is the component, as `oci://REGISTRY/REPOSITORY@sha256:DIGEST` or as a path in the image. Without it the image says where its component is.')
  component: string?
  @description('This is the workload profile of the environment. An empty one is for environments without profiles. The default is Consumption.')
  workloadProfile: string?

  @description('These are the cores of a replica. It gets 2 GiB of memory for each. The memory decides how many handlers fit beside each other. The default is 0.5.')
  cpu: ('0.25' | '0.5' | '0.75' | '1.0' | '1.25' | '1.5' | '1.75' | '2.0')?
  @description('An execution handles at most this many messages at once, if as many handlers fit into its memory. The default is 16.')
  @minValue(1)
  @maxValue(1000)
  concurrency: int?
  @description('A handler may use this much memory, in MiB. The default is 128.')
  @minValue(1)
  @maxValue(4096)
  handlerMemoryMib: int?
  @description('A handler takes this many milliseconds for an ordinary message. The workbook shows the number. The default is 500.')
  @minValue(1)
  handlingMs: int?
  @description('One execution is started for this many seconds of work. About what a start takes is right. With less, starting costs more than working. With more, a burst waits. The default is 30.')
  @minValue(1)
  busySeconds: int?
  @description('At most this many executions run at once. The default is 10.')
  @minValue(1)
  maxExecutions: int?
  @description('KEDA looks at the queue every so many seconds. The default is 30.')
  @minValue(1)
  pollingIntervalSeconds: int?

  @description('A handler may take this many seconds for one message. The default is 30.')
  @minValue(1)
  deadlineSeconds: int?
  @description('An execution lasts at most this many seconds, its last deadline included. The default is 1200.')
  @minValue(60)
  @maxValue(86400)
  timeBudgetSeconds: int?
  @description('Running handlers have this many seconds after SIGTERM. ACA kills 30 s after it; up to 3 s go to a receive in flight, 5 s to settlement. The default is 20.')
  @minValue(0)
  @maxValue(22)
  graceSeconds: int?
  @description('A message may be received this often before it goes to the poison queue. The default is 5.')
  @minValue(1)
  maxDequeue: int?
  @description('One execution receives at most this many messages. 0 is no limit. The default is 0.')
  @minValue(0)
  maxMessages: int?

  @description('Handlers may send HTTP requests to these hosts, each `HOST[:PORT]`. The default is none.')
  allowHttp: string[]?
  @description('Handlers may call these with the worker\'s identity, each `[METHOD,… ]HOST[/PATH][=SCOPE]`. The host adds the token. Roles there are your business. The default is none.')
  httpIdentity: string[]?
  @description('Handlers may use these blob containers. The grants for them join `httpIdentity`. The default is none.')
  containers: container[]?
  @description('Handlers may call these with a header that the host adds, each `HOST[/PATH]=NAME=@VARIABLE`. `secrets` has the variable. The default is none.')
  httpHeader: string[]?
  @description('The host has these variables from key vaults. The default is none.')
  secrets: secret[]?
  @description('Such hosts may have these addresses although they are not public, each a range such as `10.1.0.0/16`. The default is none.')
  allowPrivate: string[]?
  @description('Handlers read these settings through `wasi:config`. They are no place for secrets: whoever can read the job can read them. The default is none.')
  config: { *: string }?
  @description('Handlers see these environment variables. They are no place for secrets. The default is none.')
  env: { *: string }?
  @description('Handlers may send messages to these queues. The default is none.')
  outboxes: outbox[]?
  @description('These are further variables of the host. `longshore run --help` says what each means. Larger limits leave room for fewer handlers, which `longshore check --job` counts. The default is none.')
  variables: hostVariables?
}

@export()
@description('The variables of the host that no other property sets. Durations are written as `30s` or `5m`.')
@sealed()
type hostVariables = {
  LONGSHORE_BREAKER: string?
  LONGSHORE_CACHE_DIR: string?
  LONGSHORE_CALL_LIMIT: string?
  LONGSHORE_CREDENTIAL: string?
  LONGSHORE_ENCODING: string?
  LONGSHORE_HANDLES: string?
  LONGSHORE_HOLD: string?
  LONGSHORE_HTTP_CALLS: string?
  LONGSHORE_HTTP_LIMIT: string?
  LONGSHORE_LOAD_TIMEOUT: string?
  LONGSHORE_LOG: string?
  LONGSHORE_LOG_LIMIT: string?
  LONGSHORE_MAX_RETRY_DELAY: string?
  LONGSHORE_OUTBOX_FORMAT: string?
  LONGSHORE_OUTBOX_LIMIT: string?
  LONGSHORE_OUTBOX_MESSAGES: string?
  LONGSHORE_POISON_FORMAT: string?
  LONGSHORE_PRECOMPILED: string?
  LONGSHORE_REGISTRY_AUTH: string?
  LONGSHORE_REQUIRE_DIGEST: string?
  LONGSHORE_RETRY_BASE: string?
  LONGSHORE_RETRY_CAP: string?
  LONGSHORE_REUSE: string?
  LONGSHORE_STACK: string?
  LONGSHORE_TABLE_ELEMENTS: string?
  LONGSHORE_TRUST_TAG: string?
  LONGSHORE_VISIBILITY: string?
}

@export()
@description('What exists already, by resource ids. It is not changed, but the worker gets the role to pull from the registry.')
@sealed()
type existing = {
  @description('The jobs run as this user-assigned identity.')
  identityId: string?
  @description('The image is pulled from this registry. The worker gets the role AcrPull on it.')
  registryId: string?
  @description('With true the identity has the role AcrPull on the registry already. Azure refuses to assign a role twice.')
  identityPulls: bool?
  @description('The jobs run in this Container Apps environment. It has to be in the region of the deployment.')
  environmentId: string?
  @description('Logs are in this Log Analytics workspace. Those of an environment that exists already have to arrive there through diagnostic settings.')
  workspaceId: string?
  @description('The new environment is put into this subnet. The subnet has to be delegated to Microsoft.App/environments and at least a /27. Its network is in the same region and subscription.')
  subnetId: string?
}

@export()
@description('What a job is told unless it says otherwise.')
var defaults = {
  queueName: 'orders'
  makePoisonQueue: false
  lease: 'renew'
  workloadProfile: 'Consumption'
  cpu: '0.5'
  concurrency: 16
  handlerMemoryMib: 128
  handlingMs: 500
  busySeconds: 30
  maxExecutions: 10
  pollingIntervalSeconds: 30
  deadlineSeconds: 30
  timeBudgetSeconds: 1200
  graceSeconds: 20
  maxDequeue: 5
  maxMessages: 0
  allowHttp: []
  httpIdentity: []
  containers: []
  httpHeader: []
  secrets: []
  allowPrivate: []
  config: {}
  env: {}
  outboxes: []
  variables: {}
}

@export()
@description('Memory of a replica by its cores, in MiB.')
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
