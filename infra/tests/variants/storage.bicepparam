using '../../main.bicep'

param name = 'long-shore'
