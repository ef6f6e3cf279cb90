metadata description = 'Tells people what nobody sees from outside: executions that fail, and messages that are poisoned, wait or are rejected.'

param jobName string

@description('Queries ask this Log Analytics workspace, by its resource id.')
param workspaceId string

@description('This address gets a mail. Without one, the alert shows in the portal only.')
param email string

@description('A message that had waited longer than this many minutes before its first attempt raises an alert. 0 is no such alert.')
param oldestMessageMinutes int

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

// The lines of the host are one JSON object each. Nothing but the job's name and the line itself is asked for.
var lines = 'ContainerAppConsoleLogs | where JobName == "${jobName}" | extend line = parse_json(Log)'
var poisoned = '${lines} | where tostring(line.outcome) == \'poisoned\''
// A run on hold says so when it begins, and again at each try.
var onHold = '${lines} | where isnotempty(tostring(line.reasons)) or isnotempty(tostring(line.next_try_s))'
// Later attempts wait because of the earlier ones.
var waited = '${lines} | where tolong(line.dequeue_count) == 1 and tolong(line.age_ms) > ${oldestMessageMinutes * 60000}'
// Half of what ended, and more than a few: the sender or the release is wrong, and not a message.
var rejected = '${lines} | where isnotempty(tostring(line.outcome)) | summarize ended = dcount(tostring(line.message_id)), rejected = dcountif(tostring(line.message_id), tostring(line.reason) == \'rejected\') | where rejected >= 5 and rejected * 2 >= ended'

var rules = [
  {
    query: failed
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
    query: failed
    name: 'failed'
    title: 'an execution failed'
    description: 'An execution failed within half an hour. Exit code 4 in the console log is a circuit breaker that was still open when the run ended; no line at all, and the whole replicaTimeout gone by, is an image that cannot be pulled.'
    severity: 3
    threshold: 1
    window: 'PT30M'
    every: 'PT15M'
  }
  {
    query: onHold
    name: 'hold'
    title: 'the run is on hold'
    description: 'The circuit breaker is open, since too many different messages failed in a row, or there is no component to call. Nothing is received, and nothing is lost. The console log says the reasons, when it tries again, and when the hold ends.'
    severity: 2
    threshold: 1
    window: 'PT15M'
    every: 'PT15M'
  }
  {
    query: rejected
    name: 'rejected'
    title: 'most messages are rejected'
    description: 'At least five messages, and half of those that ended, were rejected within half an hour. Such executions succeed, since a rejected message is settled. Look for a new release of the handler, or of the sender.'
    severity: 2
    threshold: 1
    window: 'PT30M'
    every: 'PT15M'
  }
  {
    query: poisoned
    name: 'poisoned'
    title: 'messages were poisoned'
    description: 'At least one message went to the poison queue within half an hour. `longshore poison list` shows what lies there, and `longshore poison redrive` sends it back.'
    severity: 3
    threshold: 1
    window: 'PT30M'
    every: 'PT15M'
  }
  {
    query: waited
    name: 'waited'
    title: 'messages wait too long'
    description: 'A message had waited longer than ${oldestMessageMinutes} minutes before its first attempt. More executions, more handlers at once or a faster handler help: maxExecutions, concurrency, cpu.'
    severity: 3
    threshold: 1
    window: 'PT30M'
    every: 'PT15M'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: if (rule.query != waited || oldestMessageMinutes > 0) {
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
            query: rule.query
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
