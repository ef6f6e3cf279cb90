metadata description = 'The container registry, without its admin account.'

@description('It is unique in all of Azure and has letters and digits.')
@minLength(5)
@maxLength(50)
param name string

param location string
param tags { *: string }

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
