export { log } from 'wasi:logging/logging@0.1.0-draft';
