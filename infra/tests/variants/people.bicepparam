using '../../main.bicep'

param name = 'long-shore'
param operatorPrincipalId = '11111111-2222-3333-4444-555555555555'
param alertEmail = 'people@example.com'
