using '../../subscription.bicep'

param name = 'long-shore'
param location = 'westeurope'
param alertEmail = 'people@example.com'
