metadata description = 'Tells people when executions fail: the one thing that nothing in the process can prevent.'

param jobName string

@description('Queries ask this Log Analytics workspace, by its resource id.')
param workspaceId string

@description('This address gets a mail. Without one, the alert shows in the portal only.')
param email string

param location string
param tags { *: string }

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
var failed = 'ContainerAppSystemLogs | where JobName == "${jobName}" | where Reason in ("BackoffLimitExceeded", "DeadlineExceeded")'

var rules = [
  {
    name: 'failures'
    title: 'executions fail again and again'
    description: 'Three executions failed within ten minutes. KEDA starts the next one at its next poll, whatever the last one did. Exit code 3 in the console log is a fault of configuration or rights.'
    severity: 1
    threshold: 3
    window: 'PT10M'
    every: 'PT5M'
  }
  // What takes long to fail never fails three times in ten minutes.
  {
    name: 'failed'
    title: 'an execution failed'
    description: 'An execution failed within half an hour. Exit code 4 in the console log is a circuit breaker that was still open when the run ended; no line at all, and the whole replicaTimeout gone by, is an image that cannot be pulled.'
    severity: 3
    threshold: 1
    window: 'PT30M'
    every: 'PT15M'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${jobName}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${jobName}: ${rule.title}'
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      // The table appears with the first line that is written to it, which is after this is deployed.
      skipQueryValidation: true
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: failed
            timeAggregation: 'Count'
            operator: 'GreaterThanOrEqual'
            threshold: rule.threshold
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
]
