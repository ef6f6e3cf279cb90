export { send } from 'longshore:handler/outbox@0.1.0';
