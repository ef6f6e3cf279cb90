// Somebody else's client: `node client.js send CONNECTION QUEUE BODY…`, `node client.js dead CONNECTION QUEUE`.
'use strict';
const { ServiceBusClient } = require('@azure/service-bus');

async function main([verb, connection, queue, ...bodies]) {
  const client = new ServiceBusClient(connection);
  if (verb === 'send') {
    const applicationProperties = { tenant: 'blue', number: 7 };
    const messages = bodies.map((body) => ({ body: Buffer.from(body), contentType: 'application/json', applicationProperties }));
    await client.createSender(queue).sendMessages(messages);
  } else {
    const receiver = client.createReceiver(queue, { subQueueType: 'deadLetter' });
    for (const message of await receiver.receiveMessages(10, { maxWaitTimeInMs: 3000 })) {
      console.log(JSON.stringify([Buffer.isBuffer(message.body) ? message.body.toString() : JSON.stringify(message.body), message.deadLetterReason, message.deadLetterErrorDescription]));
      await receiver.completeMessage(message);
    }
  }
  await client.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
