metadata description = 'The container registry, without its admin account, and the right to pull from it.'

@description('Unique in all of Azure; letters and digits.')
@minLength(5)
@maxLength(50)
param name string

@description('Principal id of the identity that pulls.')
param pullerPrincipalId string

param location string
param tags { *: string }

var roles = loadJsonContent('../roles.json')

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  // checkov:skip=CKV_AZURE_139: closing the public endpoint takes private endpoints and so the Premium tier; pulling needs AcrPull either way
  // checkov:skip=CKV_AZURE_163: scanning is Defender for Containers, which is switched on for a subscription, not for a registry
  // checkov:skip=CKV_AZURE_166: quarantine is a preview of the Premium tier
  name: name
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
  }
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, pullerPrincipalId, roles.AcrPull)
  properties: {
    principalId: pullerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.AcrPull)
  }
}

output name string = registry.name
output server string = registry.properties.loginServer
