metadata description = 'A page in the portal with what the job did: executions, outcomes, times, reasons, errors.'

param jobName string

@description('Queries ask this Log Analytics workspace, by its resource id.')
param workspaceId string

param location string
param tags { *: string }

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // A workbook's name has to be a GUID; people see the display name.
  name: guid(resourceGroup().id, jobName, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: '${jobName}: executions and messages'
    category: 'workbook'
    sourceId: workspaceId
    version: '1.0'
    serializedData: replace(loadTextContent('../workbook.json'), 'JOB_NAME', jobName)
  }
}
