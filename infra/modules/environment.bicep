metadata description = 'The Container Apps environment, and its way to the logs.'

param name string

@description('Logs go to this Log Analytics workspace, by its resource id.')
param workspaceId string

@description('It is put into this subnet. Without one, it has a network of its own.')
param subnetId string?

param location string
param tags { *: string }

resource environment 'Microsoft.App/managedEnvironments@2026-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // Through diagnostic settings, which need no workspace key in the template, and fill tables with typed columns.
    appLogsConfiguration: { destination: 'azure-monitor' }
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
