using '../../main.bicep'

param name = 'long-shore'
param telemetryAgent = {
  applicationInsightsId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers/Microsoft.Insights/components/theirs'
  otlpEndpoint: 'collector.example.com:4317'
}
