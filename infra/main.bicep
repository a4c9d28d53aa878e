// `azd up`: a resource group with everything the app needs, and its registration in the tenant.
// Names follow one convention: <kind>-<environment>-<hash of subscription, environment and region>.
// An operator sets each parameter by the variable that main.parameters.json names: docs/operations.md has the table.
targetScope = 'subscription'

@minLength(1)
@maxLength(20)
@description('The azd environment: part of every name.')
param environmentName string

@description('The region. It must offer Flex Consumption: az functionapp list-flexconsumption-locations')
param location string

@description('Object ID of whoever deploys: may write the secrets of the vault. Empty: nobody but the app is let in.')
param principalId string = ''

@description('Client ID of a registration that exists already. Empty: one is made.')
param clientId string = ''

@description('true: the app proves itself by the secret client-secret in the vault, not by its managed identity.')
param clientSecretInVault bool = false

@description('Address of the site, where it has a domain of its own. Empty: the one that the platform gives.')
param baseUrl string = ''

@description('Delegated permissions of Microsoft Graph, by space: what people grant, and what the registration lists.')
param scopes string = 'User.Read'

@description('NCRONTAB: when the timer looks for people who are due.')
param sweepSchedule string = '0 */5 * * * *'

@description('How often one person is swept.')
param sweepEvery string = '60m'

@allowed(['inline', 'queue'])
@description('queue: every due slot becomes a message, and instances share the work.')
param sweepFanout string = 'inline'

@description('A person who made no request for so long counts as away.')
param absentAfter string = '5m'

@description('A row without a usable token is deleted after this time.')
param retention string = '90d'

@description('Origins whose scripts may call the web API, by space. Empty: none.')
param corsOrigins string = ''

@description('Tenant IDs that operators belong to, by comma. Empty: the one tenant that the app is for.')
param operatorTenants string = ''

@description('Client IDs whose tokens may read operators\' documents, by comma. Empty: any.')
param operatorClients string = ''

@description('Further app settings, <name>=<value> by semicolon: any other one of docs/settings.md, and those of tasks.')
param settings string = ''

@allowed([512, 2048, 4096])
@description('MB of memory of one instance; CPU and price follow it.')
param instanceMemory int = 2048

@minValue(1)
@maxValue(1000)
@description('No more instances than this: a bound on cost, and on what the tenant is asked at once.')
param maximumInstances int = 40

@minValue(1)
@maxValue(1000)
@description('HTTP requests that one instance serves at the same time. The platform gives Python one unless told.')
param httpConcurrency int = 16

@description('true: the worker exports our spans and metrics; azure-monitor-opentelemetry must be among the requirements.')
param openTelemetry bool = false

@description('Storage redundancy. ZRS survives the loss of one zone; not every region has it.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Who is told of alerts. Empty: alerts are raised in the portal only.')
param alertEmail string = ''

var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
// azd takes - ( ) _ . and capitals in the name of an environment; a site's name has a-z, 0-9 and - only.
var safeName = replace(replace(replace(replace(toLower(environmentName), '_', '-'), '.', '-'), '(', '-'), ')', '-')
var appName = 'func-${safeName}-${token}'
var siteUrl = empty(baseUrl) ? 'https://${appName}.azurewebsites.net' : baseUrl

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${safeName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${safeName}-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    suffix: '${safeName}-${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    sku: storageSku
    appPrincipalId: identity.outputs.principalId
  }
}

module vault 'vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module registration 'registration.bicep' = if (empty(clientId)) {
  name: 'registration'
  scope: group
  params: {
    name: 'understudy-${safeName}-${token}'
    displayName: 'Understudy (${environmentName})'
    redirectUri: '${siteUrl}/signin/callback'
    scopes: scopes
    identityPrincipalId: identity.outputs.principalId
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: appName
    planName: 'plan-${safeName}-${token}'
    location: location
    tags: tags
    baseUrl: siteUrl
    clientId: empty(clientId) ? registration!.outputs.clientId : clientId
    clientSecretInVault: clientSecretInVault
    scopes: scopes
    sweepSchedule: sweepSchedule
    sweepEvery: sweepEvery
    sweepFanout: sweepFanout
    absentAfter: absentAfter
    retention: retention
    corsOrigins: corsOrigins
    operatorTenants: operatorTenants
    operatorClients: operatorClients
    settings: settings
    instanceMemory: instanceMemory
    maximumInstances: maximumInstances
    httpConcurrency: httpConcurrency
    openTelemetry: openTelemetry
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    vaultUri: vault.outputs.uri
    insightsConnectionString: monitoring.outputs.connectionString
  }
}

module alerts 'alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: '${safeName}-${token}'
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    email: alertEmail
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_FUNCTION_APP_NAME string = appName
output AZURE_APPLICATION_INSIGHTS_ID string = monitoring.outputs.insightsId
output UNDERSTUDY_URL string = siteUrl
output UNDERSTUDY_APP_CLIENT_ID string = empty(clientId) ? registration!.outputs.clientId : clientId
