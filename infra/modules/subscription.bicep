metadata description = 'A subscription of a Service Bus topic, and the rules by which it takes messages.'

import { rule as ruleType } from '../types.bicep'

param namespaceName string
param topicName string

@minLength(1)
@maxLength(50)
param name string

param maxDequeue int
param lockSeconds int
param requiresSession bool
param rules ruleType[]

@export()
@description('A number of seconds, as Service Bus writes it.')
func lockDuration(seconds int) string => seconds % 60 == 0 ? 'PT${seconds / 60}M' : 'PT${seconds}S'

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: namespaceName

  resource topic 'topics' existing = {
    name: topicName
  }
}

resource subscription 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = {
  parent: namespace::topic
  name: name
  properties: {
    lockDuration: lockDuration(lockSeconds)
    requiresSession: requiresSession
    // The host dead-letters first, and says why; the service's own limit is for messages that no host ever settles.
    maxDeliveryCount: maxDequeue + 5
    // What expired, or made a filter fail, would vanish without a trace.
    deadLetteringOnMessageExpiration: true
    deadLetteringOnFilterEvaluationExceptions: true
  }
}

// The first rule takes the place of the one that takes every message, which a subscription has from its start. One is changed after
// the other, since the service may refuse two changes of a subscription at a time.
@batchSize(1)
resource taken 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2026-01-01' = [
  for (each, i) in rules: {
    parent: subscription
    name: i == 0 ? '$Default' : each.name
    properties: {
      filterType: each.?sql == null ? 'CorrelationFilter' : 'SqlFilter'
      sqlFilter: each.?sql == null ? null : { sqlExpression: each.?sql }
      correlationFilter: each.?sql == null ? each.?correlation : null
      action: each.?action == null ? null : { sqlExpression: each.?action }
    }
  }
]
