// The official client's verdict on a queue: `node judge.js CONNECTION-STRING QUEUE`. See `judge.py`.
'use strict';
const { ServiceBusClient } = require('@azure/service-bus');

const [connection, queue] = process.argv.slice(2);

function promise(kept, words) {
  if (!kept) throw new Error(`broken: ${words}`);
}

async function one(receiver) {
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 4000 });
  promise(message, 'a message that was sent is delivered');
  return message;
}

async function main() {
  const client = new ServiceBusClient(connection, { retryOptions: { maxRetries: 0 } });
  const sender = client.createSender(queue);
  // Locks are renewed when we say so.
  const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
  const dead = client.createReceiver(queue, { subQueueType: 'deadLetter' });

  await sender.sendMessages([{ body: 'one', messageId: 'a' }, { body: 'two', messageId: 'b' }]);
  const peeked = await receiver.peekMessages(5);
  promise(peeked.map((it) => it.messageId).join() === 'a,b', 'a batch is as many messages, and peeking shows them');

  let message = await one(receiver);
  promise(message.messageId === 'a' && message.body === 'one', 'messages come in order, as they were sent');
  promise(message.deliveryCount === 0, 'the first delivery counts none before it');
  const until = await receiver.renewMessageLock(message).catch((error) => {
    throw new Error(`broken: a lock can be renewed by its token (${error.code})`);
  });
  promise(until > Date.now() && until < Date.now() + 3000, 'a renewed lock lasts as long as locks do');
  await receiver.completeMessage(message);

  await receiver.abandonMessage(await one(receiver));
  message = await one(receiver);
  promise(message.messageId === 'b' && message.deliveryCount === 1, 'an abandoned message comes again, and counts');

  await new Promise((over) => setTimeout(over, 2500));
  const again = await one(receiver);
  promise(again.messageId === 'b' && again.deliveryCount === 2, 'a lock that ends frees its message, and counts');
  const late = await receiver.completeMessage(message).then(() => 'settled', (error) => error.code);
  promise(late === 'MessageLockLost', 'a lock that has ended settles nothing');
  await receiver.abandonMessage(again);
  let buried = await one(dead);
  promise(buried.deadLetterReason === 'MaxDeliveryCountExceeded', 'too many deliveries end in the dead-letter queue');
  await dead.completeMessage(buried);

  await sender.sendMessages({ body: { n: 3 }, messageId: 'c', applicationProperties: { k: 'v' } });
  await receiver.deadLetterMessage(await one(receiver), { deadLetterReason: 'Poison', deadLetterErrorDescription: 'as asked' });
  buried = await one(dead);
  promise(buried.deadLetterReason === 'Poison' && buried.deadLetterErrorDescription === 'as asked', 'a dead-lettered message says why');
  promise(buried.applicationProperties.k === 'v' && buried.body.n === 3, 'and keeps its properties and its body');
  await dead.completeMessage(buried);

  promise((await receiver.peekMessages(1)).length === 0, 'what was settled is gone');
  await client.close();
  console.log('ok');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
