// The official client's verdict on a topic: `node judge-topic.js CONNECTION-STRING TOPIC SUBSCRIPTION SUBSCRIPTION`. See `judge_topic.py`.
'use strict';
const { ServiceBusClient } = require('@azure/service-bus');

const [connection, topic, ...subscriptions] = process.argv.slice(2);

function promise(kept, words) {
  if (!kept) throw new Error(`broken: ${words}`);
}

async function main() {
  const client = new ServiceBusClient(connection, { retryOptions: { maxRetries: 0 } });
  const sender = client.createSender(topic);
  await sender.sendMessages([{ body: 'one', messageId: 'a' }, { body: 'two', messageId: 'b' }]);
  for (const name of subscriptions) {
    const receiver = client.createReceiver(topic, name);
    for (const id of ['a', 'b']) {
      const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 4000 });
      promise(message && message.messageId === id, 'each subscription gets a copy of each message, in order');
      if (id === 'a') await receiver.deadLetterMessage(message, { deadLetterReason: 'Poison' });
      else await receiver.completeMessage(message);
    }
    const dead = client.createReceiver(topic, name, { subQueueType: 'deadLetter' });
    const [buried] = await dead.receiveMessages(1, { maxWaitTimeInMs: 4000 });
    promise(buried && buried.deadLetterReason === 'Poison', 'each subscription has a dead-letter queue of its own');
    await dead.completeMessage(buried);
    promise((await receiver.peekMessages(1)).length === 0, 'what was settled is gone');
  }
  const [later] = await sender.scheduleMessages({ body: 'three', messageId: 'c' }, new Date(Date.now() + 1000));
  promise(later !== undefined, 'a message for later has a number');
  const receiver = client.createReceiver(topic, subscriptions[0]);
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 4000 });
  promise(message && message.messageId === 'c', 'what is scheduled reaches the subscriptions');
  await receiver.completeMessage(message);
  const of = client.createReceiver(topic);
  const got = await of.receiveMessages(1, { maxWaitTimeInMs: 1000 }).then(() => 'received', (error) => error.message);
  promise(/Topic client/.test(got), 'a topic itself is not received from');
  await client.close();
  console.log('ok');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
