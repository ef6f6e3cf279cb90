using '../../main.bicep'

param name = 'long-shore'
param assignRoles = false
param operatorPrincipalId = '11111111-2222-3333-4444-555555555555'
param job = { containers: [{ name: 'claims', access: 'write' }] }
