metadata description = 'A Service Bus namespace, its queues, and its topics with subscriptions.'

import { rule as ruleType } from '../types.bicep'
import { lockDuration } from 'subscription.bicep'

@description('It is unique in all of Azure.')
@minLength(6)
@maxLength(50)
param name string

@description('longshore dead-letters a message after it has received it `maxDequeue` times.')
param queues { name: string, maxDequeue: int, lockSeconds: int, requiresSession: bool }[]

@description('Workers and handlers send to these.')
param topicNames string[]

@description('Workers receive from these.')
param subscriptions {
  topicName: string
  name: string
  maxDequeue: int
  lockSeconds: int
  requiresSession: bool
  rules: ruleType[]
}[]

param location string
param tags { *: string }

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource work 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' = [
  for each in queues: {
    parent: namespace
    name: each.name
    properties: {
      lockDuration: lockDuration(each.lockSeconds)
      requiresSession: each.requiresSession
      // The host dead-letters first, and says why; the service's own limit is for messages that no host ever settles.
      maxDeliveryCount: each.maxDequeue + 5
      // Expired messages would vanish without a trace.
      deadLetteringOnMessageExpiration: true
    }
  }
]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = [
  for each in topicNames: {
    parent: namespace
    name: each
    properties: {}
  }
]

module drained 'subscription.bicep' = [
  for each in subscriptions: {
    params: {
      namespaceName: name
      topicName: each.topicName
      name: each.name
      maxDequeue: each.maxDequeue
      lockSeconds: each.lockSeconds
      requiresSession: each.requiresSession
      rules: each.rules
    }
    dependsOn: [topics]
  }
]
