targetScope = 'subscription'

metadata description = 'A resource group, and in it a queue, and a Container Apps job that drains it with this handler.'

@description('Everything is named after this: 3 to 20 letters, digits and single hyphens.')
@minLength(3)
@maxLength(20)
param name string

@description('Everything is made in this region.')
param location string

@description('Everything that is made gets these tags.')
param tags { *: string } = {}

@description('The jobs run this image, which has the host and no handler.')
@minLength(1)
param image string

@description('Whoever has this principal id may send messages, redrive poison messages and start executions.')
param operatorPrincipalId string = ''

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

@description('This address gets a mail when executions fail. Empty means nobody.')
param alertEmail string = ''

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${toLower(replace(replace(name, '_', '-'), '.', '-'))}'
  location: location
  tags: tags
}

module longshore 'longshore.json' = {
  scope: group
  params: {
    name: name
    location: location
    tags: tags
    image: image
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    alertEmail: alertEmail
    // What the job has of its own. The grants and settings of longshore.toml come with `longshore deploy`.
    job: {
      queueName: 'orders'
      // Queues that the handler sends to are made here, under the names of [outbox] in longshore.toml. Their URLs come from here.
      outboxes: [{ name: 'invoices', queueName: 'invoices' }]
    }
  }
}

output AZURE_RESOURCE_GROUP string = longshore.outputs.AZURE_RESOURCE_GROUP
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = longshore.outputs.AZURE_CONTAINER_REGISTRY_ENDPOINT
output LONGSHORE_JOB string = longshore.outputs.LONGSHORE_JOB
output LONGSHORE_QUEUE string = longshore.outputs.LONGSHORE_QUEUE
