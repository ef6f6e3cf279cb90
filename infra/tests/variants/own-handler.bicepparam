using '../../main.bicep'

param name = 'long-shore'
param image = 'theirs.azurecr.io/longshore@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param existing = {
  registryId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ContainerRegistry/registries/theirs'
}
param job = {
  component: 'oci://theirs.azurecr.io/handlers/order@sha256:0000000000000000000000000000000000000000000000000000000000000000'
  allowHttp: ['api.example.com', 'http://intern:8080']
  httpIdentity: [
    'GET,HEAD theirs.table.core.windows.net/customers'
    'api.example.com/v1=api://11111111-2222-3333-4444-555555555555/.default'
  ]
  httpHeader: ['keys.example.com=x-api-key=@API_KEY', 'other.example.com=x-api-key=@OTHER_KEY']
  secrets: [
    {
      variable: 'API_KEY'
      secretId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.KeyVault/vaults/theirs/secrets/api-key'
    }
    { variable: 'OTHER_KEY', keyVaultUrl: 'https://theirs.vault.azure.net/secrets/other-key' }
  ]
  allowPrivate: ['10.1.0.0/16']
  config: { region: 'eu', currency: 'EUR' }
  env: { TZ: 'UTC' }
  outboxes: [
    { name: 'mails', url: 'https://theirs.queue.core.windows.net/mails', encoding: 'base64' }
    {
      name: 'invoices'
      queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues/invoices'
    }
    { name: 'bills', queueName: 'bills' }
  ]
  variables: { LONGSHORE_BREAKER: '10', LONGSHORE_HTTP_CALLS: '5', LONGSHORE_REQUIRE_DIGEST: 'true' }
}
