// Somebody else's client: `node client.js send URL base64|text BODY…`, `node client.js receive URL`.
const { QueueClient, newPipeline, AnonymousCredential } = require('@azure/storage-queue');

async function main([verb, url, ...rest]) {
  const queue = new QueueClient(url, newPipeline(new AnonymousCredential()));
  if (verb === 'send') {
    const [encoding, ...bodies] = rest;
    for (const body of bodies) {
      await queue.sendMessage(encoding === 'base64' ? Buffer.from(body).toString('base64') : body);
    }
    return;
  }
  const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 60 });
  console.log(JSON.stringify(receivedMessageItems.map((item) => item.messageText)));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
