// A worker on Microsoft's client for JavaScript, with many messages at a time: storage.cjs PACKAGE-JSON QUEUE-URL CONCURRENCY.
// The package is where the client is installed. It ends when a receive is empty.
'use strict';
const { createRequire } = require('module');

const [packageJson, url, slots] = process.argv.slice(2);
const installed = createRequire(packageJson);
const { QueueClient } = installed('@azure/storage-queue');
const { ManagedIdentityCredential } = installed('@azure/identity');

const concurrency = Number(slots);
const queue = new QueueClient(url, new ManagedIdentityCredential(process.env.AZURE_CLIENT_ID));
const running = new Set();

async function work(message) {
  const order = JSON.parse(message.messageText);
  if (typeof order.order_id !== 'string' || order.order_id === '' || typeof order.msg !== 'string') throw new Error('no order');
  process.stderr.write(`handled order ${order.order_id}\n`);
  await queue.deleteMessage(message.messageId, message.popReceipt);
  process.stderr.write(`${JSON.stringify({ message_id: message.messageId, outcome: 'completed' })}\n`);
}

// The next batch is received while the one before is worked on.
async function main() {
  for (;;) {
    const ask = { numberOfMessages: Math.min(32, concurrency), visibilityTimeout: 60 };
    const { receivedMessageItems } = await queue.receiveMessages(ask);
    if (receivedMessageItems.length === 0) break;
    for (const message of receivedMessageItems) {
      while (running.size >= concurrency) await Promise.race(running);
      const task = work(message).finally(() => running.delete(task));
      running.add(task);
    }
  }
  await Promise.all(running);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
