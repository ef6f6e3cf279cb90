// The claim check in TypeScript. See the README.

import { AnonymousCredential, BlockBlobClient } from '@azure/storage-blob';
import { config, handler, log, outbox, Reject } from 'longshore-guest';
import { clientOptions, failure } from 'longshore-guest/azure';
import { object, string } from 'longshore-guest/schema';

import { invoiceName, invoiceOf } from './invoice.ts';

/** What a message says: where the real one lies, in the container of the setting `container`. */
const Claim = object({ blob: string() });

/** A client without a credential: the host signs what was granted. */
function blob(name: string): BlockBlobClient {
  return new BlockBlobClient(`${config.require('container')}/${name}`, new AnonymousCredential(), clientOptions());
}

async function read(name: string): Promise<string> {
  try {
    const response = await blob(name).download();
    return (await (await response.blobBody)?.text()) ?? '';
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) throw new Reject('there is no blob of that name');
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

export default handler(Claim, async (claim) => {
  const result = invoiceName(claim.blob);
  await write(result, JSON.stringify(invoiceOf(await read(claim.blob))));
  log.info(`wrote ${result}`);
  outbox.send('invoices', { blob: result });
});
