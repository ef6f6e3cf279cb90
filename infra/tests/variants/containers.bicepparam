using '../../main.bicep'

param name = 'long-shore'
param job = { containers: [{ name: 'claims', access: 'read' }] }
param jobs = [
  { httpIdentity: ['api.example.com=api://11111111-2222-3333-4444-555555555555/.default'] }
  {
    name: 'invoices'
    queueName: 'invoices'
    lease: 'fixed'
    containers: [{ name: 'claims', access: 'read' }, { name: 'invoices', access: 'write' }]
  }
]
