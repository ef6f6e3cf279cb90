metadata description = 'A poison queue in a storage account that exists already.'

param account string
param queueName string

resource theirs 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: account

  resource queues 'queueServices' existing = {
    name: 'default'

    resource poison 'queues' = {
      name: queueName
    }
  }
}
