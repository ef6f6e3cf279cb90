metadata description = 'A page in the portal about one job.'

param jobName string

@description('People see this behind the name of the job.')
param title string

@description('This is what tells the workbooks of a job apart.')
param key string

@description('This is the workbook. JOB_NAME in it becomes the name of the job.')
param content string

@description('Queries ask this Log Analytics workspace, by its resource id.')
param workspaceId string

param location string
param tags { *: string }

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // A workbook's name has to be a GUID; people see the display name.
  name: guid(resourceGroup().id, jobName, key)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: '${jobName}: ${title}'
    category: 'workbook'
    sourceId: workspaceId
    version: '1.0'
    serializedData: replace(content, 'JOB_NAME', jobName)
  }
}
