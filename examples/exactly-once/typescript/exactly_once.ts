// Exactly once, in TypeScript. See the README.

import { TableClient } from '@azure/data-tables';
import { retry, type Handler } from 'longshore-guest';
import { clientOptions, failure } from 'longshore-guest/azure';
import { get } from 'wasi:config/store@0.2.0-rc.1';
import { log } from 'wasi:logging/logging@0.1.0-draft';

import { paymentOf } from './booking.ts';

/** A client without a credential: the host signs what was granted. */
function table(): TableClient {
  const setting = get('table');
  if (setting === undefined) throw retry('the setting table is missing');
  const slash = setting.lastIndexOf('/');
  // The version that the SDK asks for takes no tokens.
  return new TableClient(setting.slice(0, slash), setting.slice(slash + 1), { ...clientOptions(), version: '2020-12-06' });
}

export const handler: Handler = {
  async handle(message) {
    const { account, amount_cents } = paymentOf(message.body);
    try {
      await table().createEntity({ partitionKey: account, rowKey: message.id, amount_cents });
      log('info', '', 'booked');
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 409) throw failure('booking', error);
      log('info', '', 'already booked: this is a repeated delivery');
    }
  },
};
