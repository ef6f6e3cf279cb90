metadata description = 'What Azure would refuse late, or what contradicts itself, in sentences.'

import { besideMib, hostMib } from 'modules/job.bicep'
import { isSubscription, isTopic, segment, serviceOf, typeOf } from 'ids.bicep'
import { agent, container, job, memoryMib, outbox, rule, secret } from 'types.bicep'

var small = 'abcdefghijklmnopqrstuvwxyz'
var digits = '0123456789'

@export()
@description('Whether a text has none but these characters.')
func only(text string, allowed string) bool =>
  empty(filter(map(range(0, length(text)), at => substring(text, at, 1)), it => !contains(allowed, it)))

@export()
@description('Whether a text has small letters, digits and single hyphens only, none of these at an end.')
func isHyphenated(text string) bool =>
  !empty(text) && only(text, '${small}${digits}-') && !contains(text, '--') && !startsWith(text, '-') && !endsWith(
    text,
    '-'
  )

@export()
@description('What is wrong with the id of a resource that exists already.')
func idProblems(parameter string, id string?, type string) string[] =>
  empty(id) || typeOf(id ?? '') == toLower(type) ? [] : ['${parameter} "${id ?? ''}" is no resource id of a ${type}.']

@export()
@description('What is wrong with a GUID, which may be left out.')
func guidProblems(parameter string, guid string) string[] =>
  empty(guid) || length(guid) == 36 && only(toLower(guid), '${digits}abcdef-')
    ? []
    : ['${parameter} "${guid}" is no GUID of 36 characters.']

@export()
@description('What is wrong with the name of the deployment.')
func nameProblems(name string) string[] =>
  isHyphenated(name) && !contains(digits, take(name, 1))
    ? []
    : [
        'The name "${name}" has to begin with a letter and may have letters, digits and single hyphens, with none at its end.'
      ]

@export()
@description('What is wrong with the id of a queue that exists already, in a parameter of this name.')
func queueIdProblems(parameter string, id string?) string[] =>
  empty(id)
    ? []
    : (serviceOf(id ?? '') == ''
        ? [
            '${parameter} "${id ?? ''}" is no resource id of a Storage queue or of a Service Bus queue, subscription or topic.'
          ]
        : (serviceOf(id ?? '') == 'servicebus'
            ? (contains(id ?? '', '~')
                ? [
                    '${parameter} "${id ?? ''}" has a "~", which stands for a slash in the name. Such a queue is not supported.'
                  ]
                : [])
            : concat(
                toLower(segment(id ?? '', 10)) == 'default'
                  ? []
                  : ['${parameter} "${id ?? ''}" is not in queueServices/default, where the queues of an account are.'],
                isHyphenated(last(split(id ?? '', '/'))) && length(last(split(id ?? '', '/'))) >= 3 && length(last(split(
                    id ?? '',
                    '/'
                  ))) <= 63
                  ? []
                  : [
                      '${parameter} "${id ?? ''}" names a Storage queue, whose name has 3 to 63 small letters, digits and single hyphens, with no hyphen at an end.'
                    ]
              )))

@export()
@description('What is wrong with a queue that is to be made.')
func queueProblems(service string, name string) string[] =>
  service == 'storage'
    ? (isHyphenated(name) && length(name) >= 3 && length(name) <= 56
        ? []
        : [
            'The Storage queue "${name}" has to have 3 to 56 small letters, digits and single hyphens, with no hyphen at an end; its poison queue adds 7.'
          ])
    : (isEntityName(name, 260)
        ? []
        : [
            'The Service Bus queue "${name}" may have letters, digits, dots, hyphens and underscores, with a letter or a digit at each end.'
          ])

func isEntityName(name string, longest int) bool =>
  length(name) <= longest && only(toLower(name), '${small}${digits}-_.') && contains(
    '${small}${digits}',
    toLower(take(name, 1))
  ) && contains('${small}${digits}', toLower(skip(name, length(name) - 1)))

func ruleProblems(each rule) string[] =>
  concat(
    empty(each.?sql) != empty(each.?correlation)
      ? []
      : ['The rule "${each.name}" needs either sql or a correlation with a property.'],
    isEntityName(each.name, 50)
      ? []
      : [
          'The rule "${each.name}" may have letters, digits, dots, hyphens and underscores, with a letter or a digit at each end.'
        ]
  )

@export()
@description('What is wrong with the topics of a job, and with what only Service Bus has.')
func topicProblems(service string, it job) string[] =>
  flatten([
    empty(it.?topicName) == empty(it.?subscriptionName) ? [] : ['topicName and subscriptionName need each other.']
    !empty(it.?topicName) && !empty(it.?queueId)
      ? ['topicName makes a topic, and queueId names what is there already; leave out one of them.']
      : []
    !empty(it.?topicName) && (service != 'servicebus' || !isEntityName(it.?topicName ?? '', 260))
      ? [
          'topicName "${it.?topicName ?? ''}" is for Service Bus, and may have letters, digits, dots, hyphens and underscores, with a letter or a digit at each end.'
        ]
      : []
    !empty(it.?subscriptionName) && !isEntityName(it.?subscriptionName ?? '', 50)
      ? [
          'subscriptionName "${it.?subscriptionName ?? ''}" may have 50 letters, digits, dots, hyphens and underscores, with a letter or a digit at each end.'
        ]
      : []
    map(
      filter(
        it.outboxes!,
        each => !empty(each.?topicName) && (service != 'servicebus' || !isEntityName(each.?topicName ?? '', 260))
      ),
      each =>
        'topicName "${each.?topicName ?? ''}" of the outbox "${each.name}" is for Service Bus, and may have letters, digits, dots, hyphens and underscores.'
    )
    !empty(it.rules!) && empty(it.?topicName)
      ? ['rules are for a subscription that is made, by topicName and subscriptionName.']
      : []
    flatten(map(it.rules!, each => ruleProblems(each)))
    length(it.rules!) == length(union(map(it.rules!, each => toLower(each.name)), [])) ? [] : ['Two rules have one name.']
    it.requiresSession! && (service != 'servicebus' || !empty(it.?queueId))
      ? ['requiresSession is for a queue or a subscription of Service Bus that is made.']
      : []
  ])

@export()
@description('What is wrong with the destinations of the agent.')
func agentProblems(it agent) string[] =>
  flatten([
    idProblems('applicationInsightsId', it.?applicationInsightsId, 'Microsoft.Insights/components')
    contains(it.?otlpEndpoint ?? ':', ':') && !contains(it.?otlpEndpoint ?? '', '@')
      ? []
      : ['otlpEndpoint "${it.?otlpEndpoint ?? ''}" is no address with a port, such as collector.example.com:4317.']
    it.?otlpInsecure != null && empty(it.?otlpEndpoint) ? ['otlpInsecure is about an otlpEndpoint; name one.'] : []
  ])

func outboxProblems(each outbox) string[] =>
  concat(
    length(filter([each.?url, each.?queueId, each.?queueName, each.?topicName], it => !empty(it))) == 1
      ? []
      : ['The outbox "${each.name}" needs one of queueName, topicName, queueId and url.'],
    isSubscription(each.?queueId ?? '')
      ? ['The queueId of the outbox "${each.name}" names a subscription, to which nobody can send; name its topic.']
      : [],
    queueIdProblems('The queueId of the outbox "${each.name}",', each.?queueId)
  )

func containerProblems(each container) string[] =>
  concat(
    empty(each.?name) != empty(each.?containerId) ? [] : ['A container needs either a name or a containerId.'],
    idProblems('containerId', each.?containerId, 'Microsoft.Storage/storageAccounts/blobServices/containers'),
    empty(each.?name) || isHyphenated(each.?name ?? '') && length(each.?name ?? '') >= 3 && length(each.?name ?? '') <= 63
      ? []
      : [
          'The container "${each.?name ?? ''}" has to have 3 to 63 small letters, digits and single hyphens, with no hyphen at an end.'
        ]
  )

func secretProblems(each secret) string[] =>
  concat(
    empty(each.?keyVaultUrl) != empty(each.?secretId)
      ? []
      : ['The secret "${each.variable}" needs either a keyVaultUrl or a secretId.'],
    empty(each.?keyVaultUrl) || startsWith(each.?keyVaultUrl ?? '', 'https://') && contains(
        each.?keyVaultUrl ?? '',
        '/secrets/'
      )
      ? []
      : ['keyVaultUrl "${each.?keyVaultUrl ?? ''}" is no URL such as https://NAME.vault.azure.net/secrets/NAME.'],
    idProblems('secretId', each.?secretId, 'Microsoft.KeyVault/vaults/secrets'),
    only(each.variable, '${small}${toUpper(small)}${digits}_') && !endsWith(each.variable, '_') && !contains(
        toLower(each.variable),
        'azure_client_id'
      ) && (!startsWith(toUpper(each.variable), 'LONGSHORE_') || startsWith(each.variable, 'LONGSHORE_REGISTRY_'))
      ? []
      : ['The secret "${each.variable}" is no variable of yours, of letters, digits and underscores.']
  )

@export()
@description('What is wrong with a job, its defaults filled in.')
func jobProblems(it job, title string) string[] =>
  map(
    flatten([
      it.timeBudgetSeconds! <= it.deadlineSeconds!
        ? [
            'timeBudgetSeconds ${it.timeBudgetSeconds!} leaves no time to receive before the last deadlineSeconds of ${it.deadlineSeconds!}.'
          ]
        : []
      it.handlingMs! > it.deadlineSeconds! * 1000
        ? [
            'handlingMs ${it.handlingMs!} is longer than deadlineSeconds ${it.deadlineSeconds!}, so that no ordinary message would be done in time.'
          ]
        : []
      it.lease! == 'fixed' && it.deadlineSeconds! + 30 > 604800
        ? ['deadlineSeconds ${it.deadlineSeconds!} and 30 s are longer than a fixed lease may last, which is 7 days.']
        : []
      hostMib + it.handlerMemoryMib! + besideMib > memoryMib[it.cpu!]
        ? [
            'handlerMemoryMib ${it.handlerMemoryMib!} does not fit beside the host into the ${memoryMib[it.cpu!]} MiB of cpu ${it.cpu!}.'
          ]
        : []
      queueIdProblems('queueId', it.?queueId)
      isTopic(it.?queueId ?? '')
        ? ['queueId "${it.?queueId ?? ''}" is a topic, from which nobody can receive; name a subscription of it.']
        : []
      empty(filter(objectKeys(it.otel!), name => !startsWith(name, 'OTEL_')))
        ? []
        : ['A variable of otel does not begin with OTEL_.']
      contains(string(objectKeys(it.otel!)), '_HEADERS')
        ? ['Headers of otel may hold a key; take them from secrets, under the same variable.']
        : []
      queueIdProblems('poisonQueueId', it.?poisonQueueId)
      it.?poisonQueueId == null && serviceOf(it.?queueId ?? '') == 'storage' && length(last(split(
          it.?queueId ?? '',
          '/'
        ))) > 56
        ? [
            'the name of the queue is longer than 56 characters, so that "-poison" does not fit behind it. Name a poison queue with poisonQueueId.'
          ]
        : []
      flatten(map(it.outboxes!, each => outboxProblems(each)))
      length(it.outboxes!) == length(union(map(it.outboxes!, each => each.name), [])) ? [] : ['Two outboxes have one name.']
      it.?component == null || startsWith(it.?component ?? '', 'oci://') || startsWith(it.?component ?? '', '/')
        ? []
        : [
            'component "${it.?component ?? ''}" is neither oci://REGISTRY/REPOSITORY@sha256:DIGEST nor a path that begins with a slash.'
          ]
      flatten(map(it.containers!, each => containerProblems(each)))
      length(it.containers!) == length(union(
          map(it.containers!, each => toLower(each.?containerId ?? each.?name ?? '')),
          []
        ))
        ? []
        : ['Two containers are one; write access includes reading.']
      flatten(map(it.secrets!, each => secretProblems(each)))
      length(it.secrets!) == length(union(map(it.secrets!, each => toUpper(each.variable)), [])) ? [] : ['Two secrets have one variable.']
      map(
        filter(
          it.httpHeader!,
          each => !contains(map(it.secrets!, known => '=@${known.variable}'), '=@${last(split(each, '=@'))}')
        ),
        each => 'httpHeader "${each}" does not end with "=@" and a variable of secrets.'
      )
      !contains(join(concat(it.allowHttp!, it.allowPrivate!, it.httpIdentity!, it.httpHeader!), ''), '\n')
        ? []
        : ['A grant has a line break.']
      !contains(join(map(concat(items(it.config!), items(it.env!)), each => each.value), ''), '\n')
        ? []
        : ['A value in config or env has a line break.']
      !contains(string(concat(objectKeys(it.config!), objectKeys(it.env!))), '=')
        ? []
        : ['A name in config or env has a "=".']
    ]),
    problem => '${title}: ${problem}'
  )
