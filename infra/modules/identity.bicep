metadata description = 'The identity of the job: it pulls the image, scales the job and reads the queue. No secret exists for it.'

@description('Its name.')
param name string

param location string
param tags { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
