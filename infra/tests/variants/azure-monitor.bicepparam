using '../../main.bicep'

param name = 'long-shore'
param azureMonitor = true
param job = {
  telemetryFlush: '3s'
  trace: 'parent'
  poisonLog: 0
  otel: { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' }
}
