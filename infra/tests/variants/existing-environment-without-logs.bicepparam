using '../../main.bicep'

param name = 'long-shore'
param existing = {
  environmentId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.App/managedEnvironments/theirs'
}
param job = { workloadProfile: '' }
