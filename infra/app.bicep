// The function app on Flex Consumption. No key, no secret and no connection string with a credential among its settings.
param name string
param planName string
param location string
param tags object
param baseUrl string
param clientId string
param clientSecretInVault bool
param scopes string
param sweepSchedule string
param sweepEvery string
param sweepFanout string
param absentAfter string
param retention string
param corsOrigins string
param operatorTenants string
param operatorClients string

@description('<name>=<value> by semicolon. Each wins over a setting of the same name below.')
param settings string

param instanceMemory int
param maximumInstances int
param httpConcurrency int
param openTelemetry bool
param identityId string
param identityClientId string
param storageName string
param deploymentContainerUrl string
param vaultUri string
param insightsConnectionString string

var storageHost = environment().suffixes.storage
var vaultSecrets = '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets'
var secret = { CLIENT_SECRET: '${vaultSecrets}/client-secret)' }
var noSecret = { CLIENT_ASSERTION: 'managed-identity' }
var proof = clientSecretInVault ? secret : noSecret
var sdk = openTelemetry ? { PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true' } : {}
var appSettings = {
  // The host's own.
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: 'https://${storageName}.blob.${storageHost}'
  AzureWebJobsStorage__queueServiceUri: 'https://${storageName}.queue.${storageHost}'
  AzureWebJobsStorage__tableServiceUri: 'https://${storageName}.table.${storageHost}'
  AzureWebJobsDisableHomepage: 'true'
  // A stop waits for what runs. PYTHON_THREADPOOL_THREAD_COUNT stays unset: the host makes it 1000.
  FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // The app's: docs/settings.md.
  BASE_URL: baseUrl
  CLIENT_ID: clientId
  AUTHORITY: '${environment().authentication.loginEndpoint}${tenant().tenantId}'
  SCOPES: scopes
  ENCRYPTION_KEYS: '${vaultSecrets}/encryption-keys)'
  SWEEP_SCHEDULE: sweepSchedule
  SWEEP_EVERY: sweepEvery
  SWEEP_FANOUT: sweepFanout
  ABSENT_AFTER: absentAfter
  RETENTION: retention
  CORS_ORIGINS: corsOrigins
  ADMIN_ROLE: 'Understudy.Operator'
  OPERATOR_TENANTS: operatorTenants
  OPERATOR_CLIENTS: operatorClients
}
var ours = [for each in items(union(appSettings, proof, sdk)): { name: each.key, value: each.value }]
var pairs = filter(split(settings, ';'), pair => !empty(trim(pair)))
var theirs = [for pair in pairs: { name: trim(split(pair, '=')[0]), value: join(skip(split(pair, '='), 1), '=') }]
var names = [for each in theirs: each.name]

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: not every region has zone-redundant Flex Consumption; who was not swept is swept later
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_17: people come with browsers, which have no client certificates
  // checkov:skip=CKV_AZURE_78: Flex Consumption refuses ftpsState (51021); FTP's publishing password is off, below
  // checkov:skip=CKV_AZURE_212: Flex Consumption scales from zero; the timer wakes it
  // checkov:skip=CKV_AZURE_213: the plan replaces an instance whose host does not answer; it has no health check path
  // checkov:skip=CKV_AZURE_222: people sign in here from anywhere
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.12'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      appSettings: concat(filter(ours, each => !contains(names, each.name)), theirs)
    }
  }
}

// Deployment is by Entra tokens only: no publishing passwords.
resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}
