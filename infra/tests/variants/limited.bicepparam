using '../../main.bicep'

param name = 'long-shore'
param job = { maxMessages: 100 }
