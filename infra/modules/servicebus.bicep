metadata description = 'A Service Bus namespace and its queues.'

@description('It is unique in all of Azure.')
@minLength(6)
@maxLength(50)
param name string

@description('longshore dead-letters a message after it has received it `maxDequeue` times.')
param queues { name: string, maxDequeue: int }[]

param location string
param tags { *: string }

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource work 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' = [
  for each in queues: {
    parent: namespace
    name: each.name
    properties: {
      lockDuration: 'PT1M'
      // The host dead-letters first, and says why; the service's own limit is for messages that no host ever settles.
      maxDeliveryCount: each.maxDequeue + 5
      // Expired messages would vanish without a trace.
      deadLetteringOnMessageExpiration: true
    }
  }
]
