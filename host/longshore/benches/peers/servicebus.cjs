// Microsoft's client for JavaScript, as its documentation shows it for many messages at a time:
// servicebus.cjs PACKAGE-JSON CONNECTION QUEUE MESSAGES CONCURRENCY. The package is where the client is installed.
'use strict';
const { createRequire } = require('module');

const [packageJson, connection, queue, messages, concurrency] = process.argv.slice(2);
const { ServiceBusClient } = createRequire(packageJson)('@azure/service-bus');

const client = new ServiceBusClient(connection);
const receiver = client.createReceiver(queue);
let left = Number(messages);

const processMessage = async (message) => {
  // The client has parsed the body: it does so with whatever is JSON.
  const order = message.body;
  if (typeof order.order_id !== 'string' || order.order_id === '' || typeof order.msg !== 'string') throw new Error('no order');
  await receiver.completeMessage(message);
  left -= 1;
  if (left === 0) {
    await receiver.close();
    await client.close();
  }
};

const processError = async ({ error }) => {
  // A message that fails comes again, and again: the figures would be those of nothing.
  console.error(error);
  process.exit(1);
};

receiver.subscribe({ processMessage, processError }, { autoCompleteMessages: false, maxConcurrentCalls: Number(concurrency) });
