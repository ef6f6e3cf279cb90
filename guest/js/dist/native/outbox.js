import { stage } from './stage.js';
export function send(outbox, body, properties) {
    stage.getStore()?.sent.push({ outbox, body, properties });
}
