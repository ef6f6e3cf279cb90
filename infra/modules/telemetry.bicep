metadata description = 'Where Azure Monitor takes traces, metrics and logs by OTLP, from an identity and without a key.'

// A preview of Azure Monitor, after its page "Ingest OTLP data into Azure Monitor with OTel Collector" and the template that it names.
// Nothing of it has met Azure yet.

param name string

@description('Spans and logs go to this Log Analytics workspace, by its resource id. Azure wants all of this in the workspace\'s region.')
param workspaceId string

param location string
param tags { *: string }

var logStreams = [
  'Microsoft-OTel-Logs'
  'Microsoft-OTel-Traces-Spans'
  'Microsoft-OTel-Traces-Events'
  'Microsoft-OTel-Traces-Resources'
]
var metricStreams = ['Custom-Metrics-Otel']
// The names in this template alone, of what refers to something else.
var insightsReference = 'applicationInsights'
var logDestination = 'logs'
var metricDestination = 'metrics'

resource metrics 'Microsoft.Monitor/accounts@2025-10-03' = {
  name: '${name}-metrics'
  location: location
  tags: tags
}

// Its transaction search and its map read the spans. Nothing is sent to it by its key.
resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
  }
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2024-03-11' = {
  name: '${name}-otlp'
  location: location
  tags: tags
  properties: {
    networkAcls: { publicNetworkAccess: 'Enabled' }
  }
}

resource collection 'Microsoft.Insights/dataCollectionRules@2024-03-11' = {
  name: '${name}-otlp'
  location: location
  tags: tags
  properties: {
    dataCollectionEndpointId: endpoint.id
    references: {
      applicationInsights: [{ name: insightsReference, resourceId: insights.id }]
    }
    directDataSources: {
      otelTraces: [
        {
          name: 'traces'
          streams: filter(logStreams, it => contains(it, 'Traces'))
          enrichWithResourceAttributes: ['*']
          enrichWithReference: insightsReference
          replaceResourceIdWithReference: true
        }
      ]
      otelLogs: [
        {
          name: 'logs'
          streams: filter(logStreams, it => !contains(it, 'Traces'))
          enrichWithResourceAttributes: ['*']
          enrichWithReference: insightsReference
          replaceResourceIdWithReference: true
        }
      ]
      otelMetrics: [
        {
          name: 'metrics'
          streams: metricStreams
          enrichWithResourceAttributes: ['*']
          enrichWithReference: insightsReference
        }
      ]
    }
    destinations: {
      logAnalytics: [{ name: logDestination, workspaceResourceId: workspaceId }]
      monitoringAccounts: [{ name: metricDestination, accountResourceId: metrics.id }]
    }
    dataFlows: [
      { streams: logStreams, destinations: [logDestination] }
      { streams: metricStreams, destinations: [metricDestination] }
    ]
  }
}

var rule = '/dataCollectionRules/${collection.properties.immutableId}/streams'

output collectionRuleId string = collection.id
// Streams have other names in these addresses than in the rule. Spans go to the endpoint for logs.
output tracesEndpoint string = '${endpoint.properties.logsIngestion.endpoint}${rule}/Microsoft-OTLP-Traces/otlp/v1/traces'
output logsEndpoint string = '${endpoint.properties.logsIngestion.endpoint}${rule}/Microsoft-OTLP-Logs/otlp/v1/logs'
output metricsEndpoint string = '${endpoint.properties.metricsIngestion.endpoint}${rule}/Custom-Metrics-Otel/otlp/v1/metrics'
