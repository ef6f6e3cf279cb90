metadata description = 'What a job can be told, and what already existing resources are called.'

@export()
@description('A queue that handlers may send messages to.')
@sealed()
type outbox = {
  @description('This is what handlers call the queue.')
  name: string
  @description('The queue of this name is made, on the service of the deployment. Give one of this, `topicName`, `queueId` and `url`.')
  queueName: string?
  @description('The Service Bus topic of this name is made. Its subscriptions are your business, or those of `jobs`.')
  topicName: string?
  @description('This is the URL of a queue or a topic that exists already. Roles on it are your business.')
  url: string?
  @description('This is the resource id of a queue or a topic that exists already. The worker gets the role to send to it.')
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
@description('What the properties of a message have to be equal to. All that are named have to match. It costs the service less than SQL.')
@sealed()
type correlation = {
  contentType: string?
  correlationId: string?
  @description('SDKs call this the subject.')
  label: string?
  messageId: string?
  replyTo: string?
  replyToSessionId: string?
  sessionId: string?
  to: string?
  @description('These are application properties.')
  properties: { *: string }?
}

@export()
@description('A rule by which a subscription takes messages. A message that one rule matches is taken.')
@sealed()
type rule = {
  @description('The rule is called this. The first rule is written as `$Default`, in the place of the one that takes every message.')
  @minLength(1)
  @maxLength(50)
  name: string
  @description('This is a condition in the SQL of Service Bus, such as `region = \'eu\' AND amount > 100`. Give either this or `correlation`.')
  @minLength(1)
  @maxLength(1024)
  sql: string?
  @description('Messages with these properties are taken.')
  correlation: correlation?
  @description('This changes properties of a message that is taken, such as `SET region = \'eu\'`.')
  @minLength(1)
  @maxLength(1024)
  action: string?
}

@export()
@description('Where the managed OpenTelemetry agent of the environment sends what the jobs measure.')
@sealed()
type agent = {
  @description('Traces and logs go to this Application Insights component, by its resource id. It has to allow local authentication. The agent sends it no metrics.')
  applicationInsightsId: string?
  @description('Traces, metrics and logs go to this OTLP endpoint over gRPC, such as `collector.example.com:4317`. It has to take them without a header.')
  otlpEndpoint: string?
  @description('With true the connection to that endpoint has no TLS. The default is false.')
  otlpInsecure: bool?
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
  @description('The Service Bus topic of this name is made, and the job drains `subscriptionName` of it, in the place of a queue. Two jobs may share a topic.')
  @maxLength(260)
  topicName: string?
  @description('The subscription of this name is made at the topic.')
  @maxLength(50)
  subscriptionName: string?
  @description('The subscription takes messages by these rules. Without any it takes all. A deployment adds and changes rules, and takes none away. The default is none.')
  rules: rule[]?
  @description('With true the Service Bus queue or subscription that is made requires sessions. Azure does not change that afterwards. KEDA counts messages and no sessions, so that `maxExecutions` has to be at most the sessions that are busy at a time, divided by `sessions`. The default is false.')
  requiresSession: bool?
  @description('A lock of the Service Bus queue or subscription that is made lasts this many seconds. The host renews it. The default is 60.')
  @minValue(5)
  @maxValue(300)
  lockSeconds: int?
  @description('This is the resource id of a queue or a subscription that exists already, also in another group or subscription. It is not changed. Only roles on it are assigned.')
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

  @description('An execution works on this many sessions at once, where the queue or subscription requires them. The default is up to the host.')
  @minValue(1)
  @maxValue(1000)
  sessions: int?
  @description('A session that gives nothing for this long is left to others, such as `1s`. The default is up to the host.')
  @minLength(2)
  sessionIdle: string?
  @description('After a poison message of a session, `continue` goes on with the next one, and `stop` leaves the rest of the session. The default is up to the host.')
  onPoison: ('continue' | 'stop')?
  @description('This many bytes of a failing attempt\'s last log lines go into the poison message. 0 is none. The default is up to the host.')
  @minValue(0)
  poisonLog: int?

  @description('An alert is raised when a message had waited longer than this many minutes before its first attempt. 0 is no such alert. The default is 60.')
  @minValue(0)
  oldestMessageMinutes: int?

  @description('What was measured has this long to be sent at the end of an execution, such as `2s` and at most `10s`. The default is up to the host.')
  @minLength(2)
  telemetryFlush: string?
  @description('A message\'s span is a `link` to the span of its sender, or has it as its `parent`. The default is up to the host.')
  trace: ('link' | 'parent')?
  @description('These are standard variables of OpenTelemetry, such as `OTEL_TRACES_SAMPLER`. They count more than what the deployment sets. The default is none.')
  otel: { *: string }?

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
  rules: []
  requiresSession: false
  lockSeconds: 60
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
  oldestMessageMinutes: 60
  otel: {}
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
