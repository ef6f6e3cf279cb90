metadata description = 'Tells people that dead letters lie in a Service Bus queue or topic, as long as they do.'

import { segment } from '../ids.bicep'

param jobName string

@description('The job drains this queue or subscription, by its resource id. The number of a topic is that of all its subscriptions.')
param queueId string

@description('These people are told. Nobody if it is empty.')
param actionGroupId string

param tags { *: string }

resource alert 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${jobName}-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: '${jobName}: dead letters lie in ${segment(queueId, 10)}. `longshore poison list` shows them, and `redrive` or `purge` takes them away.'
    severity: 3
    enabled: true
    scopes: [join(take(split(queueId, '/'), 9), '/')]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'dead-letters'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'DeadletteredMessages'
          // Whether it keeps capitals is not documented.
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: union([segment(queueId, 10)], [toLower(segment(queueId, 10))])
            }
          ]
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
  }
}
