metadata description = 'Tells people when executions fail again and again: the one thing that nothing in the process can prevent.'

param jobName string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Who gets a mail; empty: the alert shows in the portal only.')
param email string

param location string
param tags object

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: '${jobName}-people'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'longshore'
    enabled: true
    emailReceivers: [
      { name: 'people', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

// By the log, since a metric alert has no window of ten minutes. Each failed execution leaves one of these two lines.
resource failures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${jobName}-failures'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${jobName}: executions fail again and again'
    description: 'Three executions failed within ten minutes. KEDA starts the next one at its next poll, whatever the last one did. Exit code 3 in the console log is a fault of configuration or rights, 4 an open circuit breaker.'
    severity: 1
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT10M'
    // The table appears with the first line that is written to it, which is after this is deployed.
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'ContainerAppSystemLogs | where JobName == "${jobName}" | where Reason in ("BackoffLimitExceeded", "DeadlineExceeded")'
          timeAggregation: 'Count'
          operator: 'GreaterThanOrEqual'
          threshold: 3
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(email) ? [] : [people.id]
    }
  }
}
