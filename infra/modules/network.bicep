// The network for privateNetworking, with one subnet each for the app, the nodes and the private endpoints.
param location string
param tags object
param suffix string

resource closed 'Microsoft.Network/networkSecurityGroups@2024-01-01' = {
  name: 'nsg-${suffix}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'DenyInternet'
        properties: {
          description: 'Blocks inbound traffic from the internet; nodes use simplified communication, which is outbound.'
          access: 'Deny'
          direction: 'Inbound'
          priority: 4000
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: 'vnet-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.40.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.40.0.0/24'
          networkSecurityGroup: { id: closed.id }
          delegations: [{ name: 'app', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'pool'
        properties: {
          addressPrefix: '10.40.4.0/22'
          networkSecurityGroup: { id: closed.id }
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.40.1.0/24'
          networkSecurityGroup: { id: closed.id }
        }
      }
    ]
  }
}

output networkId string = network.id
output appSubnetId string = '${network.id}/subnets/app'
output poolSubnetId string = '${network.id}/subnets/pool'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
