metadata description = 'A storage account, its queues, and containers of blobs.'

@description('It is unique in all of Azure and has small letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@allowed(['Standard_ZRS', 'Standard_LRS', 'Standard_GRS', 'Standard_GZRS'])
param sku string

param queueNames string[]
param containerNames string[]
param location string
param tags { *: string }

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-08-01' = if (!empty(queueNames)) {
  parent: account
  name: 'default'
}

resource work 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-08-01' = [
  for queueName in queueNames: {
    parent: queues
    name: queueName
  }
]

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = if (!empty(containerNames)) {
  parent: account
  name: 'default'
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = [
  for it in containerNames: {
    parent: blobs
    name: it
  }
]
