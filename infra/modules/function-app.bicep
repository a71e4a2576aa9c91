// The function app on Flex Consumption, with its identity and every setting that the code requires.
param location string
param tags object
param name string
param storageAccount string
param databaseUrl string
param eventHubsNamespace string
param eventHub string
param alertHub string
param consumerGroups object
param batchAccountUrl string
param batchPool string
param maxNodes int
param taskSlotsPerNode int
param taskImage string
param taskIdentityId string
param applicationInsightsConnectionString string
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: { type: 'SystemAssigned' }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: { minTlsVersion: '1.2', ftpsState: 'Disabled', http20Enabled: true }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.12' }
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: 40 }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${storageAccount}.blob.${environment().suffixes.storage}/app-package'
          authentication: { type: 'SystemAssignedIdentity' }
        }
      }
    }
  }
}

var values = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
  TELEMETRY_EXPORTER: 'azure'
  AzureWebJobsStorage__accountName: storageAccount
  EventHub__fullyQualifiedNamespace: eventHubsNamespace
  EVENT_HUB_NAME: eventHub
  EVENT_HUB_CONSUMER_GROUP: consumerGroups.ingest
  SERVING_CONSUMER_GROUP: consumerGroups.serve
  ALERT_EVENT_HUB_NAME: alertHub
  DATABASE_URL: databaseUrl
  BATCH_ACCOUNT_URL: batchAccountUrl
  BATCH_POOL_ID: batchPool
  TASK_IDENTITY_ID: taskIdentityId
  MAX_NODES: string(maxNodes)
  TASK_SLOTS_PER_NODE: string(taskSlotsPerNode)
  PREDICTIONS_CONTAINER: 'predictions'
  BLOB_TRIGGER_SOURCE: 'EventGrid'
  TRAIN_SCHEDULE: '0 0 1 * * *'
  SCORE_SCHEDULE: '0 */5 * * * *'
  MAINTENANCE_SCHEDULE: '0 20 * * * *'
  SWEEP_SCHEDULE: '*/30 * * * * *'
  HOUSEKEEPING_SCHEDULE: '0 30 2 * * *'
  DASHBOARD_URL: 'https://${app.properties.defaultHostName}/'
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(values, empty(taskImage) ? {} : { TASK_IMAGE: taskImage })
}

// Publishing with a user name and password is switched off; deployments use Entra sign-in.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = [
  for way in ['ftp', 'scm']: {
    parent: app
    name: way
    properties: { allow: false }
  }
]

output name string = app.name
output host string = app.properties.defaultHostName
output principalId string = app.identity.principalId
