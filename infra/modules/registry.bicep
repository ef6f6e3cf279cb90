metadata description = 'The container registry, without its admin account.'

@description('It is unique in all of Azure and has letters and digits.')
@minLength(5)
@maxLength(50)
param name string

param location string
param tags { *: string }

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    // In the other mode AcrPull allows nothing.
    roleAssignmentMode: 'LegacyRegistryPermissions'
  }
}
