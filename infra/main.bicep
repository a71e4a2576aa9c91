// A resource group with all resources of Sensorwatch; `azd up` deploys it.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the environment; the names of resources are derived from it.')
param environmentName string

@description('Azure region; it must offer Functions Flex Consumption.')
param location string

@description('Object id of the deploying identity. It administers the database, and owns the blobs so that the command line works.')
param principalId string

@allowed(['User', 'ServicePrincipal'])
@description('Type of principalId: User for a person at a terminal, ServicePrincipal for a pipeline.')
param principalType string = 'User'

@description('Display name of the deploying identity, shown as the administrator of the database.')
param principalName string

@description('Makes storage, SQL, Event Hubs and the registry reachable through private endpoints only.')
param privateNetworking bool = false

@description('Container image of the tasks. If empty, nodes install the application package and use no containers.')
param taskImage string = ''

@minValue(1)
@maxValue(32)
@description('Partitions of the event hub. Each can be read by one instance of the function app.')
param partitions int = 4

@description('Virtual machine size of the pool nodes.')
param nodeSize string = 'Standard_D2s_v5'

@minValue(1)
@maxValue(1000)
@description('Largest number of nodes in the pool. An idle pool has none.')
param maxNodes int = 4

@description('E-mail address for alert rules and the budget. If empty, no e-mail is sent.')
param operatorEmail string = ''

@minValue(0)
@description('Monthly budget of the resource group, in the currency of the subscription; 0 for no budget.')
param monthlyBudget int = 200

@description('First day of the first month of the budget.')
param budgetStart string = utcNow('yyyy-MM-01')

var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module sensorwatch 'sensorwatch.bicep' = {
  name: 'sensorwatch'
  scope: group
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    principalId: principalId
    principalType: principalType
    principalName: principalName
    privateNetworking: privateNetworking
    taskImage: taskImage
    partitions: partitions
    nodeSize: nodeSize
    maxNodes: maxNodes
    operatorEmail: operatorEmail
    monthlyBudget: monthlyBudget
    budgetStart: budgetStart
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = sensorwatch.outputs.registry
output AZURE_FUNCTION_APP_NAME string = sensorwatch.outputs.functionApp
output DATABASE_URL string = sensorwatch.outputs.databaseUrl
output AzureWebJobsStorage__accountName string = sensorwatch.outputs.storageAccount
output EventHub__fullyQualifiedNamespace string = sensorwatch.outputs.eventHubsNamespace
output BATCH_ACCOUNT_URL string = sensorwatch.outputs.batchAccountUrl
output BATCH_POOL_ID string = sensorwatch.outputs.batchPool
output TASK_IDENTITY_NAME string = sensorwatch.outputs.taskIdentity
output TASK_IDENTITY_CLIENT_ID string = sensorwatch.outputs.taskIdentityClientId
