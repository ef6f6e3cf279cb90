metadata description = 'The Container Apps environment, and its way to the logs.'

import { agent as agentType } from '../types.bicep'
import { segment } from '../ids.bicep'

param name string

@description('Logs go to this Log Analytics workspace, by its resource id.')
param workspaceId string

@description('It is put into this subnet. Without one, it has a network of its own.')
param subnetId string?

@description('The managed OpenTelemetry agent sends to these. There is no agent if it is empty.')
param agent agentType

param location string
param tags { *: string }

// Application Insights takes no metrics from the agent.
var toInsights = agent.?applicationInsightsId == null ? [] : ['appInsights']
var toOtlp = agent.?otlpEndpoint == null ? [] : ['otlp']
var hasAgent = !empty(concat(toInsights, toOtlp))

resource insights 'Microsoft.Insights/components@2020-02-02' existing = if (!empty(toInsights)) {
  name: last(split(agent.?applicationInsightsId ?? name, '/'))
  scope: resourceGroup(
    segment(agent.?applicationInsightsId ?? resourceGroup().id, 2),
    segment(agent.?applicationInsightsId ?? resourceGroup().id, 4)
  )
}

resource environment 'Microsoft.App/managedEnvironments@2026-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // Through diagnostic settings, which need no workspace key in the template, and fill tables with typed columns.
    appLogsConfiguration: { destination: 'azure-monitor' }
    appInsightsConfiguration: empty(toInsights) ? null : { connectionString: insights!.properties.ConnectionString }
    openTelemetryConfiguration: hasAgent
      ? {
          destinationsConfiguration: {
            otlpConfigurations: map(toOtlp, it => {
              name: it
              endpoint: agent.?otlpEndpoint
              insecure: agent.?otlpInsecure ?? false
            })
          }
          tracesConfiguration: { destinations: concat(toInsights, toOtlp) }
          logsConfiguration: { destinations: concat(toInsights, toOtlp) }
          metricsConfiguration: empty(toOtlp) ? null : { destinations: toOtlp, includeKeda: true }
        }
      : null
    // Jobs serve nobody, so that no public address is needed.
    vnetConfiguration: subnetId == null ? null : { infrastructureSubnetId: subnetId, internal: true }
    workloadProfiles: [
      { name: 'Consumption', workloadProfileType: 'Consumption' }
    ]
  }
}

// The one stable version, of 2016, lacks the typed tables.
#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: environment
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
  }
}
