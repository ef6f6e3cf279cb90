using 'subscription.bicep'

// azd gives its environment's variables here: `azd env set LONGSHORE_CPU 1.0`.
param name = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param tags = { 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME') }
param image = readEnvironmentVariable('LONGSHORE_IMAGE', 'mcr.microsoft.com/k8se/quickstart-jobs:latest')
param queueService = readEnvironmentVariable('LONGSHORE_QUEUE_SERVICE', 'storage')
param storageSku = readEnvironmentVariable('LONGSHORE_STORAGE_SKU', 'Standard_ZRS')
param serviceBusScalerRole = readEnvironmentVariable('LONGSHORE_SCALER_ROLE', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')
param operatorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param operatorPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param alertEmail = readEnvironmentVariable('LONGSHORE_ALERT_EMAIL', '')
param azureMonitor = bool(readEnvironmentVariable('LONGSHORE_AZURE_MONITOR', 'false'))
param job = {
  queueName: readEnvironmentVariable('LONGSHORE_QUEUE_NAME', 'orders')
  topicName: readEnvironmentVariable('LONGSHORE_TOPIC_NAME', '')
  subscriptionName: readEnvironmentVariable('LONGSHORE_SUBSCRIPTION_NAME', '')
  requiresSession: bool(readEnvironmentVariable('LONGSHORE_REQUIRES_SESSION', 'false'))
  lease: readEnvironmentVariable('LONGSHORE_LEASE', 'renew')
  cpu: readEnvironmentVariable('LONGSHORE_CPU', '0.5')
  concurrency: int(readEnvironmentVariable('LONGSHORE_CONCURRENCY', '16'))
  handlerMemoryMib: int(readEnvironmentVariable('LONGSHORE_MEMORY', '128'))
  handlingMs: int(readEnvironmentVariable('LONGSHORE_HANDLING_MS', '500'))
  busySeconds: int(readEnvironmentVariable('LONGSHORE_BUSY_SECONDS', '30'))
  deadlineSeconds: int(readEnvironmentVariable('LONGSHORE_DEADLINE_SECONDS', '30'))
  timeBudgetSeconds: int(readEnvironmentVariable('LONGSHORE_TIME_BUDGET_SECONDS', '1200'))
  graceSeconds: int(readEnvironmentVariable('LONGSHORE_GRACE_SECONDS', '20'))
  maxDequeue: int(readEnvironmentVariable('LONGSHORE_MAX_DEQUEUE', '5'))
  maxMessages: int(readEnvironmentVariable('LONGSHORE_MAX_MESSAGES', '0'))
  maxExecutions: int(readEnvironmentVariable('LONGSHORE_MAX_EXECUTIONS', '10'))
  pollingIntervalSeconds: int(readEnvironmentVariable('LONGSHORE_POLLING_SECONDS', '30'))
}
