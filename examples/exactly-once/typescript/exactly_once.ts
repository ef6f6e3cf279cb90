// Exactly once, in TypeScript. See the README.

import { TableClient } from '@azure/data-tables';
import { config, handler, log } from 'longshore-guest';
import { clientOptions, failure } from 'longshore-guest/azure';

import { Payment } from './booking.ts';

/** A client without a credential: the host signs what was granted. */
function table(): TableClient {
  const setting = config.require('table');
  const slash = setting.lastIndexOf('/');
  // The version that the SDK asks for takes no tokens.
  return new TableClient(setting.slice(0, slash), setting.slice(slash + 1), { ...clientOptions(), version: '2020-12-06' });
}

export default handler(Payment, async ({ account, amount_cents }, message) => {
  try {
    await table().createEntity({ partitionKey: account, rowKey: message.id, amount_cents });
    log.info('booked');
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw failure('booking', error);
    log.info('already booked: this is a repeated delivery');
  }
});
