// What `azd up` makes: a resource group and all of Sensorwatch in it.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the environment; names of resources follow from it.')
param environmentName string

@description('Azure region; it must offer Functions Flex Consumption.')
param location string

@description('Object id of who deploys: administrator of the database, and owner of the blobs so that the command line works.')
param principalId string

@allowed(['User', 'ServicePrincipal'])
@description('What principalId is: a person at a terminal, or a pipeline.')
param principalType string = 'User'

@description('Display name of who deploys, as the database will show its administrator.')
param principalName string

@description('Puts storage, SQL, Event Hubs and the registry behind private endpoints and closes their public ones.')
param privateNetworking bool = false

@description('Container image of the tasks; empty: nodes run the application package, without containers.')
param taskImage string = ''

@minValue(1)
@maxValue(32)
@description('Partitions of the event hub: one instance of the function app can read each.')
param partitions int = 4

@description('Virtual machine size of the pool.')
param nodeSize string = 'Standard_D2s_v5'

@minValue(1)
@maxValue(1000)
@description('Nodes that the pool grows to at most; with nothing to do it has none.')
param maxNodes int = 4

@description('Address that hears of what goes wrong and of the budget; empty: nobody does.')
param operatorEmail string = ''

@minValue(0)
@description('Monthly budget of the resource group, in the currency of the subscription; 0: none.')
param monthlyBudget int = 200

@description('First day of the month from which the budget counts.')
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
