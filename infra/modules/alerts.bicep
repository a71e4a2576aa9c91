// Alert rules for operators, on Sensorwatch's metrics (docs/reference/metrics.md) and on two metrics of Azure.
param location string
param tags object
param suffix string
param applicationInsightsId string
param workspaceId string
param eventHubsId string
param sqlDatabaseId string
param operatorEmail string

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(operatorEmail)) {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'sensorwatch'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: operatorEmail, useCommonAlertSchema: true }]
  }
}

var actions = empty(operatorEmail) ? [] : [operators.id]

var rules = [
  {
    name: 'missed-cycles'
    title: 'Training or scoring did not run when it was due'
    severity: 1
    query: 'AppMetrics | where Name == "sensorwatch.cycles.missed" | summarize Value = max(Max) by bin(TimeGenerated, 5m) | where Value > 0'
  }
  {
    name: 'pool-errors'
    title: 'The pool cannot get nodes, or its autoscale formula fails'
    severity: 1
    query: 'AppMetrics | where Name == "sensorwatch.pool.errors" | summarize Value = max(Max) by bin(TimeGenerated, 5m) | where Value > 0'
  }
  {
    name: 'dead-sinks'
    title: 'A sink does not accept alerts'
    severity: 1
    query: 'AppMetrics | where Name == "sensorwatch.sinks.failing" | summarize Value = max(Max) by bin(TimeGenerated, 5m) | where Value > 0'
  }
  {
    name: 'ingest-lag'
    title: 'Readings wait longer than five minutes'
    severity: 2
    query: 'AppMetrics | where Name == "sensorwatch.ingest.lag" | summarize Value = max(Max) by bin(TimeGenerated, 5m) | where Value > 300'
  }
  {
    name: 'failed-functions'
    title: 'Functions fail repeatedly'
    severity: 2
    query: 'AppRequests | where Success == false | summarize Value = count() by bin(TimeGenerated, 5m) | where Value > 10'
  }
]

resource queries 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${rule.name}-${suffix}'
    location: location
    tags: tags
    properties: {
      displayName: rule.title
      description: rule.title
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      // The table of metrics does not exist before the first metric.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: actions }
    }
  }
]

resource throttled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'event-hubs-throttled-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Hubs throttles requests: more throughput units are needed'
    severity: 2
    enabled: true
    scopes: [eventHubsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricName: 'ThrottledRequests'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Total'
        }
      ]
    }
    actions: [for action in actions: { actionGroupId: action }]
  }
}

resource databaseBusy 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'database-busy-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The database is at its CPU limit: more cores are needed'
    severity: 2
    enabled: true
    scopes: [sqlDatabaseId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'busy'
          metricName: 'app_cpu_percent'
          operator: 'GreaterThan'
          threshold: 90
          timeAggregation: 'Average'
        }
      ]
    }
    actions: [for action in actions: { actionGroupId: action }]
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(applicationInsightsId, 'sensorwatch')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Sensorwatch'
    category: 'workbook'
    sourceId: applicationInsightsId
    serializedData: loadTextContent('../workbook.json')
  }
}
