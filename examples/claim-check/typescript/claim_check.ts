// The claim check in TypeScript. See the README.

import { AnonymousCredential, BlockBlobClient } from '@azure/storage-blob';
import { reject, retry, type Handler } from 'longshore-guest';
import { clientOptions, failure } from 'longshore-guest/azure';
import { send } from 'longshore:handler/outbox@0.1.0';
import { get } from 'wasi:config/store@0.2.0-rc.1';
import { log } from 'wasi:logging/logging@0.1.0-draft';

import { invoiceName, invoiceOf } from './invoice.ts';

/** A client without a credential: the host signs what was granted. */
function blob(name: string): BlockBlobClient {
  const container = get('container');
  if (container === undefined) throw retry('the setting container is missing');
  return new BlockBlobClient(`${container}/${name}`, new AnonymousCredential(), clientOptions());
}

/** What a message says: where the real one lies. */
function claimOf(body: Uint8Array): string {
  try {
    return JSON.parse(new TextDecoder().decode(body)).blob;
  } catch {
    throw reject('the message is no claim: {"blob": "incoming/…"}');
  }
}

async function read(name: string): Promise<string> {
  try {
    const response = await blob(name).download();
    return (await (await response.blobBody)?.text()) ?? '';
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) throw reject('there is no blob of that name');
    throw failure('reading the order', error);
  }
}

async function write(name: string, text: string): Promise<void> {
  const json = new TextEncoder().encode(text);
  try {
    await blob(name).upload(json, json.length, { blobHTTPHeaders: { blobContentType: 'application/json' } });
  } catch (error) {
    throw failure('writing the invoice', error);
  }
}

export const handler: Handler = {
  async handle(message) {
    const claim = claimOf(message.body);
    const result = invoiceName(claim);
    await write(result, JSON.stringify(invoiceOf(await read(claim))));
    log('info', '', `wrote ${result}`);
    send('invoices', new TextEncoder().encode(JSON.stringify({ blob: result })), []);
  },
};
