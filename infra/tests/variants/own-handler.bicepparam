using '../../main.bicep'

param name = 'long-shore'
param image = 'theirs.azurecr.io/longshore@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param existing = {
  registryId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ContainerRegistry/registries/theirs'
}
param job = {
  component: 'oci://theirs.azurecr.io/handlers/order@sha256:0000000000000000000000000000000000000000000000000000000000000000'
  allowHttp: ['api.example.com', 'http://intern:8080']
  allowPrivate: ['10.1.0.0/16']
  config: { region: 'eu', currency: 'EUR' }
  env: { TZ: 'UTC' }
  outboxes: [
    { name: 'mails', url: 'https://theirs.queue.core.windows.net/mails', encoding: 'base64' }
    {
      name: 'invoices'
      queueId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues/invoices'
    }
  ]
  variables: { LONGSHORE_BREAKER: '10', LONGSHORE_HTTP_CALLS: '5', LONGSHORE_REQUIRE_DIGEST: 'true' }
}
