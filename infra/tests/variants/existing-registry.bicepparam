using '../../main.bicep'

param name = 'long-shore'
param existing = {
  registryId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.ContainerRegistry/registries/theirs'
}
