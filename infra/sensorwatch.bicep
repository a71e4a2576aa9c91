// All resources of one resource group; main.bicep describes the parameters.
param environmentName string
param location string
param tags object
param principalId string
param principalType string
param principalName string
param privateNetworking bool
param taskImage string
param partitions int
param nodeSize string
param maxNodes int
param operatorEmail string
param monthlyBudget int
param budgetStart string

var suffix = toLower(uniqueString(subscription().id, environmentName, location))
var names = {
  storage: 'st${suffix}'
  eventHubs: 'evhns-${suffix}'
  sql: 'sql-${suffix}'
  registry: 'cr${suffix}'
  batch: 'ba${suffix}'
  functionApp: 'func-${suffix}'
}

// Identity of the nodes. It is their only one, so settings need no client id and the app can pass its own settings to the
// tasks unchanged.
resource taskIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-task-${suffix}'
  location: location
  tags: tags
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: { location: location, tags: tags, suffix: suffix }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  params: { location: location, tags: tags, suffix: suffix }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    location: location
    tags: tags
    name: names.storage
    privateNetworking: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module eventHubs 'modules/event-hubs.bicep' = {
  name: 'event-hubs'
  params: {
    location: location
    tags: tags
    name: names.eventHubs
    partitions: partitions
    privateNetworking: privateNetworking
  }
}

module sql 'modules/sql.bicep' = {
  name: 'sql'
  params: {
    location: location
    tags: tags
    name: names.sql
    principalId: principalId
    principalType: principalType
    principalName: principalName
    privateNetworking: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  params: {
    location: location
    tags: tags
    name: names.registry
    privateNetworking: privateNetworking
  }
}

module batch 'modules/batch.bicep' = {
  name: 'batch'
  params: {
    location: location
    tags: tags
    name: names.batch
    nodeSize: nodeSize
    maxNodes: maxNodes
    taskImage: taskImage
    taskIdentityId: taskIdentity.id
    registryServer: registry.outputs.server
    subnetId: privateNetworking ? network!.outputs.poolSubnetId : ''
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  name: 'private-endpoints'
  params: {
    location: location
    tags: tags
    suffix: suffix
    networkId: network!.outputs.networkId
    subnetId: network!.outputs.endpointSubnetId
    storageId: storage.outputs.id
    eventHubsId: eventHubs.outputs.id
    sqlId: sql.outputs.id
    registryId: registry.outputs.id
  }
}

var databaseUrl = 'mssql+pyodbc://@${sql.outputs.server}/${sql.outputs.database}?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes'

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    location: location
    tags: tags
    name: names.functionApp
    storageAccount: storage.outputs.name
    databaseUrl: '${databaseUrl}&Authentication=ActiveDirectoryMsi'
    eventHubsNamespace: eventHubs.outputs.fullyQualifiedNamespace
    eventHub: eventHubs.outputs.hub
    alertHub: eventHubs.outputs.alertHub
    consumerGroups: eventHubs.outputs.consumerGroups
    batchAccountUrl: batch.outputs.accountUrl
    batchPool: batch.outputs.pool
    maxNodes: maxNodes
    taskSlotsPerNode: batch.outputs.taskSlotsPerNode
    taskImage: taskImage
    taskIdentityId: taskIdentity.id
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
  }
}

module access 'modules/access.bicep' = {
  name: 'access'
  params: {
    appPrincipalId: functionApp.outputs.principalId
    taskPrincipalId: taskIdentity.properties.principalId
    principalId: principalId
    principalType: principalType
    storageAccount: storage.outputs.name
    eventHubsNamespace: eventHubs.outputs.name
    batchAccount: batch.outputs.name
    registryName: registry.outputs.name
    applicationInsights: monitoring.outputs.applicationInsights
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    suffix: suffix
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    workspaceId: monitoring.outputs.workspaceId
    eventHubsId: eventHubs.outputs.id
    sqlDatabaseId: sql.outputs.databaseId
    operatorEmail: operatorEmail
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  params: {
    environmentName: environmentName
    amount: monthlyBudget
    start: budgetStart
    operatorEmail: operatorEmail
  }
}

output registry string = registry.outputs.server
output functionApp string = names.functionApp
output databaseUrl string = '${databaseUrl}&Authentication=ActiveDirectoryDefault'
output storageAccount string = storage.outputs.name
output eventHubsNamespace string = eventHubs.outputs.fullyQualifiedNamespace
output batchAccountUrl string = batch.outputs.accountUrl
output batchPool string = batch.outputs.pool
output taskIdentity string = taskIdentity.name
output taskIdentityClientId string = taskIdentity.properties.clientId
