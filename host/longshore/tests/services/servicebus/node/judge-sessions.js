// The official client's verdict on a queue that requires sessions: `node judge-sessions.js CONNECTION-STRING QUEUE`.
// See `judge_sessions.py`.
'use strict';
const { ServiceBusClient } = require('@azure/service-bus');

const [connection, queue] = process.argv.slice(2);
const OPTIONS = { maxAutoLockRenewalDurationInMs: 0 };

function promise(kept, words) {
  if (!kept) throw new Error(`broken: ${words}`);
}

async function one(receiver) {
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 4000 });
  promise(message, 'a message of the session is delivered');
  return message;
}

async function failure(call) {
  return call().then(() => undefined, (error) => error.code || error.name);
}

async function main() {
  const client = new ServiceBusClient(connection, { retryOptions: { maxRetries: 0, timeoutInMs: 5000 } });
  const sender = client.createSender(queue);
  const names = [0, 1, 2].flatMap((n) => [`red${n}`, `blue${n}`]);
  await sender.sendMessages(names.map((body) => ({ body, messageId: body, sessionId: body.slice(0, -1) })));
  promise(await failure(() => sender.sendMessages({ body: 'none' })), 'a message without a session is refused');
  promise(await failure(() => client.createReceiver(queue).receiveMessages(1, { maxWaitTimeInMs: 1000 })), 'an entity with sessions delivers by session only');

  const red = await client.acceptSession(queue, 'red', OPTIONS);
  promise(red.sessionId === 'red' && red.sessionLockedUntilUtc > new Date(), 'a session is taken by its name, and locked');
  const taken = await failure(() => client.acceptSession(queue, 'red', OPTIONS));
  promise(taken === 'SessionCannotBeLocked', 'a session that is held is given to nobody else');
  for (const n of [0, 1, 2]) {
    const message = await one(red);
    promise(message.messageId === `red${n}` && message.sessionId === 'red', 'the messages of a session come in order, and no others');
    await red.completeMessage(message);
  }
  const blue = await client.acceptNextSession(queue, OPTIONS);
  promise(blue.sessionId === 'blue', 'the next session is one that is free');
  await blue.setSessionState('seen 1');
  promise((await blue.getSessionState()) === 'seen 1', 'the state of a session is kept');
  const bytes = Buffer.from(Array.from({ length: 256 * 1024 }, (_, n) => n % 256));
  await blue.setSessionState(bytes);
  promise(bytes.equals(await blue.getSessionState()), 'a state is some bytes, and stays as it is');
  promise(await failure(() => blue.setSessionState(Buffer.alloc(256 * 1024 + 1))), 'a state that is too large is refused');
  promise(bytes.equals(await blue.getSessionState()), 'and changes nothing');
  await blue.setSessionState(null);
  promise(!(await blue.getSessionState()), 'a state is cleared');
  const before = blue.sessionLockedUntilUtc;
  await new Promise((over) => setTimeout(over, 500));
  promise((await blue.renewSessionLock()) > before, 'the lock of a session is renewed');
  for (const n of [0, 1, 2]) {
    const message = await one(blue);
    promise(message.messageId === `blue${n}`, 'the messages of a session come in order, and no others');
    await blue.completeMessage(message);
  }
  await red.close();
  await blue.close();
  promise(await failure(() => client.acceptNextSession(queue, OPTIONS)), 'when no session has messages, that is said in time');
  await client.close();
  console.log('ok');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
