// A budget with two warnings: at four fifths of the amount, and when the forecast exceeds the amount.
param environmentName string
param amount int
param start string
param operatorEmail string

var contacts = {
  contactEmails: empty(operatorEmail) ? [] : [operatorEmail]
  contactRoles: ['Owner']
}

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: 'budget-${environmentName}'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: start }
    notifications: {
      spent: union({ enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 80, thresholdType: 'Actual' }, contacts)
      forecast: union({ enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Forecasted' }, contacts)
    }
  }
}
