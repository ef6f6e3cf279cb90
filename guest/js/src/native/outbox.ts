import { stage } from './stage.ts';

export function send(outbox: string, body: Uint8Array, properties: [string, string][]): void {
  stage.getStore()?.sent.push({ outbox, body, properties });
}
