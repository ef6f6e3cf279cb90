metadata description = 'Assigns roles, or says with which `az` commands somebody else can.'

import { assignmentName, segment, sentTo, serviceOf } from '../ids.bicep'

@description('The custom role is named after this.')
param base string
@description('With false nothing is assigned, and `commands` says what to run.')
param assignRoles bool
@description('This is a role by which a worker may renew its leases, as a GUID. With an empty one it is made.')
param renewRole string
@description('KEDA counts the messages of a Service Bus queue or subscription by this role.')
param scalerRole string
@description('Images are pulled from this registry. None if it is empty.')
param registryId string
@description('Workers drain these queues.')
param queues { id: string, poisonId: string, lease: string }[]
@description('Workers send to these queues.')
param outboxIds string[]
@description('Handlers use these containers.')
param containers { id: string, access: string }[]
@description('Workers have variables from these secrets of key vaults.')
param secretIds string[]
@description('Workers send what they measure by this data collection rule. Nowhere if it is empty.')
param collectionRuleId string
@description('An operator starts these jobs. modules/job.bicep assigns that role, which is only said here.')
param jobIds string[]
param workerPrincipalId string
@description('Nobody if it is empty.')
param operatorPrincipalId string
param operatorPrincipalType string

var roles = loadJsonContent('../roles.json')
var queueData = 'Microsoft.Storage/storageAccounts/queueServices/queues'

// Renewing, delaying and releasing a message is Update Message, which Message Processor does not allow. The built-in role that
// does, Storage Queue Data Contributor, also allows deleting the queue; hence a role of three actions.
var actions = [
  '${queueData}/messages/read'
  '${queueData}/messages/process/action'
  '${queueData}/messages/write'
]
var renewed = filter(queues, each => serviceOf(each.id) == 'storage' && each.lease == 'renew')
var makesRole = empty(renewRole) && !empty(renewed)
var groupId = '/subscriptions/${subscription().subscriptionId}/resourceGroups/${toLower(resourceGroup().name)}'
var renewer = empty(renewRole) ? guid(toLower(groupId), base, 'longshore-queue-worker') : renewRole
// Role names are unique in a tenant. `make azure-role-remove` finds the role by how its name begins.
var renewerName = 'Longshore queue worker ${base} ${uniqueString(toLower(groupId), base)}'
// The group in which the role is made has to be one of them.
var groupIds = union(
  [groupId],
  map(renewed, each => '/subscriptions/${toLower(segment(each.id, 2))}/resourceGroups/${toLower(segment(each.id, 4))}')
)

var ofQueues = flatten(map(
  queues,
  each =>
    serviceOf(each.id) == 'storage'
      ? [
          {
            on: each.id
            role: each.lease == 'renew' ? renewer : roles.StorageQueueDataMessageProcessor
            who: 'worker'
          }
          // KEDA scales with the worker's identity, and reads the number of messages.
          { on: each.id, role: roles.StorageQueueDataReader, who: 'worker' }
          { on: each.poisonId, role: roles.StorageQueueDataMessageSender, who: 'worker' }
          // Shared keys are off, so that owning the account is not enough to send a message: a person needs roles as well.
          { on: each.id, role: roles.StorageQueueDataMessageSender, who: 'operator' }
          { on: each.id, role: roles.StorageQueueDataReader, who: 'operator' }
          { on: each.poisonId, role: roles.StorageQueueDataReader, who: 'operator' }
          { on: each.poisonId, role: roles.StorageQueueDataMessageProcessor, who: 'operator' }
        ]
      : [
          { on: each.id, role: roles.AzureServiceBusDataReceiver, who: 'worker' }
          { on: each.id, role: scalerRole, who: 'worker' }
          // What a subscription gets is sent to its topic.
          { on: sentTo(each.id), role: roles.AzureServiceBusDataSender, who: 'operator' }
          // The dead-letter queue is part of the queue or the subscription, and so is the right to receive from it.
          { on: each.id, role: roles.AzureServiceBusDataReceiver, who: 'operator' }
        ]
))
var ofOutboxes = map(outboxIds, id => {
  on: id
  role: serviceOf(id) == 'storage' ? roles.StorageQueueDataMessageSender : roles.AzureServiceBusDataSender
  who: 'worker'
})
// A union has each of them once, however ids are written: two jobs may send to one queue.
var wanted = concat(
  empty(registryId) ? [] : [{ on: registryId, role: roles.AcrPull, who: 'worker' }],
  ofQueues,
  ofOutboxes,
  map(containers, it => {
    on: it.id
    role: it.access == 'read' ? roles.StorageBlobDataReader : roles.StorageBlobDataContributor
    who: 'worker'
  }),
  empty(collectionRuleId) ? [] : [{ on: collectionRuleId, role: roles.MonitoringMetricsPublisher, who: 'worker' }],
  map(secretIds, id => { on: id, role: roles.KeyVaultSecretsUser, who: 'worker' })
)
var asked = union(map(wanted, each => { on: toLower(each.on), role: toLower(each.role), who: each.who }), [])
var ofJobs = map(jobIds, id => { on: id, role: roles.ContainerAppsJobsOperator, who: 'operator' })
var isAsked = empty(operatorPrincipalId) ? ['worker'] : ['worker', 'operator']
var grants = filter(asked, each => contains(isAsked, each.who))

module workerRole 'role.bicep' = if (assignRoles && makesRole) {
  params: { name: renewer, roleName: renewerName, actions: actions, groupIds: groupIds }
}

module assigned 'grant.bicep' = [
  for each in grants: if (assignRoles) {
    scope: resourceGroup(segment(each.on, 2), segment(each.on, 4))
    params: {
      id: each.on
      role: each.role
      principalId: each.who == 'worker' ? workerPrincipalId : operatorPrincipalId
      principalType: each.who == 'worker' ? 'ServicePrincipal' : operatorPrincipalType
    }
    dependsOn: [workerRole]
  }
]

var definition = string({
  properties: {
    roleName: renewerName
    description: 'Receive, renew, release and delete messages of one queue'
    type: 'CustomRole'
    permissions: [{ actions: [], dataActions: actions }]
    assignableScopes: groupIds
  }
})
var principals = {
  worker: { id: workerPrincipalId, type: 'ServicePrincipal' }
  operator: { id: operatorPrincipalId, type: operatorPrincipalType }
}
// Under the names that the template gives, so that commands can be run again, and a later deployment may assign the same roles.
var makeRole = 'az rest --method put --url "${groupId}/providers/Microsoft.Authorization/roleDefinitions/${renewer}?api-version=2022-04-01" --body \'${definition}\''

@description('Whoever may assign roles runs these commands. There are none when the roles were assigned.')
output commands string[] = assignRoles
  ? []
  : concat(
      makesRole ? [makeRole] : [],
      map(
        filter(concat(asked, ofJobs), each => contains(isAsked, each.who)),
        each =>
          'az role assignment create --name ${assignmentName(each.on, principals[each.who].id, each.role)} --assignee-object-id ${principals[each.who].id} --assignee-principal-type ${principals[each.who].type} --role ${each.role} --scope ${each.on}'
      )
    )
