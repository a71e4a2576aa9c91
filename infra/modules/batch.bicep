// The Batch account, and a pool that has nodes only while there are tasks.
param location string
param tags object
param name string
param nodeSize string
param maxNodes int
param taskImage string
param taskIdentityId string
param registryServer string
param subnetId string

var slots = 4
var plainImage = { publisher: 'canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
var containerImage = { publisher: 'microsoft-dsvm', offer: 'ubuntu-hpc', sku: '2404', version: 'latest' }
var machine = {
  imageReference: empty(taskImage) ? plainImage : containerImage
  nodeAgentSkuId: 'batch.node.ubuntu 24.04'
  diskEncryptionConfiguration: { targets: ['OsDisk', 'TemporaryDisk'] }
}
var containers = {
  containerConfiguration: {
    type: 'DockerCompatible'
    containerImageNames: [taskImage]
    containerRegistries: [{ registryServer: registryServer, identityReference: { resourceId: taskIdentityId } }]
  }
}
// Batch unpacks the application package into the folder that AZ_BATCH_APP_PACKAGE_sensorwatch names.
var prepareNode = {
  commandLine: '/bin/bash -c "$AZ_BATCH_APP_PACKAGE_sensorwatch/infra/scripts/prepare-node.sh"'
  waitForSuccess: true
  maxTaskRetryCount: 2
  userIdentity: { autoUser: { scope: 'Pool', elevationLevel: 'Admin' } }
}

resource account 'Microsoft.Batch/batchAccounts@2024-07-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    allowedAuthenticationModes: ['AAD', 'TaskAuthenticationToken']
    poolAllocationMode: 'BatchService'
    publicNetworkAccess: 'Enabled'
  }
}

// The application package for pools without an image; scripts/package-tasks.sh uploads its versions.
resource application 'Microsoft.Batch/batchAccounts/applications@2024-07-01' = if (empty(taskImage)) {
  parent: account
  name: 'sensorwatch'
  properties: { displayName: 'Sensorwatch', allowUpdates: true }
}

resource pool 'Microsoft.Batch/batchAccounts/pools@2024-07-01' = {
  parent: account
  name: 'sensorwatch'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${taskIdentityId}': {} } }
  properties: {
    displayName: 'Trains and scores models'
    vmSize: nodeSize
    taskSlotsPerNode: slots
    taskSchedulingPolicy: { nodeFillType: 'Pack' }
    targetNodeCommunicationMode: 'Simplified'
    interNodeCommunication: 'Disabled'
    deploymentConfiguration: {
      virtualMachineConfiguration: union(machine, empty(taskImage) ? {} : containers)
    }
    startTask: empty(taskImage) ? prepareNode : null
    applicationPackages: empty(taskImage) ? [{ id: application.id }] : []
    networkConfiguration: empty(subnetId) ? {} : { subnetId: subnetId }
    scaleSettings: {
      autoScale: {
        evaluationInterval: 'PT5M'
        formula: format(loadTextContent('../pool-autoscale.txt'), maxNodes, slots)
      }
    }
  }
}

output name string = account.name
output accountUrl string = 'https://${account.properties.accountEndpoint}'
output pool string = pool.name
output taskSlotsPerNode int = slots
