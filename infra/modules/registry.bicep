// The registry of the tasks' image. Access is by identity only.
param location string
param tags object
param name string
param privateNetworking bool

resource registry 'Microsoft.ContainerRegistry/registries@2023-11-01-preview' = {
  name: name
  location: location
  tags: tags
  // Private endpoints, retention and zones need the premium tier.
  sku: { name: privateNetworking ? 'Premium' : 'Basic' }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    policies: privateNetworking ? { retentionPolicy: { status: 'enabled', days: 30 } } : {}
  }
}

output id string = registry.id
output name string = registry.name
output server string = registry.properties.loginServer
