using '../../main.bicep'

param name = 'long-shore'
param job = { lease: 'fixed' }
