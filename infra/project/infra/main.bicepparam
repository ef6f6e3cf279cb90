using 'main.bicep'

// azd gives its environment's variables here. `azd env set HOST_IMAGE …` sets the one without a default.
param name = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param tags = { 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME') }
param image = readEnvironmentVariable('HOST_IMAGE')
param operatorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param operatorPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')
