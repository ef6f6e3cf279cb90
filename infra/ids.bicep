metadata description = 'What a resource id says.'

func segmentsOf(id string) string[] => split(id, '/')

@export()
@description('A segment of a resource id; empty where there is none.')
func segment(id string, at int) string => at < length(segmentsOf(id)) ? segmentsOf(id)[at] : ''

@export()
@description('The type that a resource id names; empty if it names no resource of a group.')
func typeOf(id string) string =>
  length(segmentsOf(id)) >= 9 && length(segmentsOf(id)) % 2 == 1 && empty(segment(id, 0)) && toLower('${segment(id, 1)} ${segment(id, 3)} ${segment(id, 5)}') == 'subscriptions resourcegroups providers' && empty(filter(
      skip(segmentsOf(id), 1),
      it => empty(it)
    ))
    ? toLower(join(
        concat([segment(id, 6)], map(range(0, (length(segmentsOf(id)) - 7) / 2), at => segmentsOf(id)[7 + at * 2])),
        '/'
      ))
    : ''

@export()
@description('The service of a queue, a subscription or a topic, by its id; empty if it is none of these.')
func serviceOf(queueId string) string =>
  typeOf(queueId) == 'microsoft.storage/storageaccounts/queueservices/queues'
    ? 'storage'
    : (contains(
          [
            'microsoft.servicebus/namespaces/queues'
            'microsoft.servicebus/namespaces/topics'
            'microsoft.servicebus/namespaces/topics/subscriptions'
          ],
          typeOf(queueId)
        )
        ? 'servicebus'
        : '')

@export()
@description('Whether messages can be sent to what an id names, and not received from it.')
func isTopic(queueId string) bool => typeOf(queueId) == 'microsoft.servicebus/namespaces/topics'

@export()
@description('Whether messages can be received from what an id names, and not sent to it.')
func isSubscription(queueId string) bool => typeOf(queueId) == 'microsoft.servicebus/namespaces/topics/subscriptions'

@export()
@description('The id of that to which one sends what a queue or a subscription gets.')
func sentTo(queueId string) string => isSubscription(queueId) ? join(take(segmentsOf(queueId), 11), '/') : queueId

@export()
@description('A queue, a subscription or a topic as `longshore run --queue` and `--outbox` take it, by its id.')
func queueUrl(queueId string) string =>
  serviceOf(queueId) == 'storage'
    ? 'https://${segment(queueId, 8)}.queue.${environment().suffixes.storage}/${last(segmentsOf(queueId))}'
    : 'sb://${segment(queueId, 8)}.servicebus.windows.net/${isSubscription(queueId) ? '${segment(queueId, 10)}/Subscriptions/' : ''}${last(segmentsOf(queueId))}'

@export()
@description('The id of a queue in an account or namespace.')
func queueIdOf(groupId string, service string, account string, name string) string =>
  service == 'storage'
    ? '${groupId}/providers/Microsoft.Storage/storageAccounts/${account}/queueServices/default/queues/${name}'
    : '${groupId}/providers/Microsoft.ServiceBus/namespaces/${account}/queues/${name}'

@export()
@description('The id of a topic in a namespace.')
func topicIdOf(groupId string, namespace string, name string) string =>
  '${groupId}/providers/Microsoft.ServiceBus/namespaces/${namespace}/topics/${name}'

@export()
@description('The id of a subscription of a topic in a namespace.')
func subscriptionIdOf(groupId string, namespace string, topic string, name string) string =>
  '${topicIdOf(groupId, namespace, topic)}/subscriptions/${name}'

@export()
@description('A secret as Container Apps takes it, by its id.')
func secretUrl(secretId string) string =>
  'https://${segment(secretId, 8)}${environment().suffixes.keyvaultDns}/secrets/${last(segmentsOf(secretId))}'

@export()
@description('A container as `longshore run --http-identity` takes it, by its id.')
func containerHost(containerId string) string =>
  '${segment(containerId, 8)}.blob.${environment().suffixes.storage}/${last(segmentsOf(containerId))}'

@export()
@description('The name of a role assignment. Azure refuses a second one of another name, and takes ids in any case.')
func assignmentName(id string, principalId string, role string) string =>
  guid(toLower(id), toLower(principalId), toLower(role))
