using '../../main.bicep'

param name = 'long-shore'
param image = 'ghcr.io/somebody/longshore:1.0.0'
param makeRegistry = false
param job = {
  component: 'oci://ghcr.io/somebody/order@sha256:0000000000000000000000000000000000000000000000000000000000000000'
}
