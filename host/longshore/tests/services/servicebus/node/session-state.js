// Somebody else's client: `node session-state.js get CONNECTION ENTITY SESSION`, and `set … FILE`. As `session_state.py` does.
'use strict';
const { readFileSync } = require('node:fs');
const { ServiceBusClient } = require('@azure/service-bus');

async function main([verb, connection, entity, session, state]) {
  const client = new ServiceBusClient(connection);
  const [topic, subscription] = entity.split('/Subscriptions/');
  const receiver = subscription === undefined ? await client.acceptSession(topic, session) : await client.acceptSession(topic, subscription, session);
  if (verb === 'set') await receiver.setSessionState(readFileSync(state));
  const kept = await receiver.getSessionState();
  await receiver.close();
  await client.close();
  console.log(kept === null || kept === undefined ? 'none' : `=${Buffer.from(kept).toString('hex')}`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
