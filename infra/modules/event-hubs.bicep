// The hub of the readings, with one consumer group per function that reads it, and the hub of the alerts.
param location string
param tags object
param name string
param partitions int
param privateNetworking bool

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard', capacity: 1 }
  properties: {
    disableLocalAuth: true
    isAutoInflateEnabled: true
    maximumThroughputUnits: 10
    minimumTlsVersion: '1.2'
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
  }
}

resource readings 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: 'readings'
  // The longest retention of this tier: the app may be down for a week without losing readings.
  properties: { partitionCount: partitions, messageRetentionInDays: 7 }
}

resource groups 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = [
  for group in ['ingest', 'serve']: {
    parent: readings
    name: group
  }
]

resource alerts 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: 'alerts'
  properties: { partitionCount: 1, messageRetentionInDays: 7 }
}

output id string = namespace.id
output name string = namespace.name
output fullyQualifiedNamespace string = '${namespace.name}.servicebus.windows.net'
output hub string = readings.name
output consumerGroups object = { ingest: groups[0].name, serve: groups[1].name }
output alertHub string = alerts.name
