// Three alerts; docs/operations.md says what each means and what to do. They read what the host and the log say, and so
// work without the OpenTelemetry packages too.
param suffix string
param location string
param tags object
param insightsId string
param email string

var rules = [
  {
    name: 'no-sweep'
    description: 'The timer has not run for 15 minutes: nobody is acted for.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: loadTextContent('alerts/no-sweep.kql')
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'misconfigured'
    description: 'The tenant refuses the app itself: a sweep stopped, or a tenant is left out.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: loadTextContent('alerts/misconfigured.kql')
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'set-aside'
    description: 'More than 5 % of the people swept in the last hour must sign in again.'
    severity: 2
    every: 'PT15M'
    window: 'PT1H'
    query: loadTextContent('alerts/set-aside.kql')
    operator: 'GreaterThan'
    threshold: 0
  }
]

resource team 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'understudy'
    emailReceivers: [
      {
        name: 'team'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2021-08-01' = [
  for rule in rules: {
    name: 'alert-${rule.name}-${suffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Understudy: ${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      evaluationFrequency: rule.every
      windowSize: rule.window
      scopes: [insightsId]
      autoMitigate: true
      // Before the first record there is no table to validate against.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: empty(email) ? [] : [team.id]
      }
    }
  }
]
