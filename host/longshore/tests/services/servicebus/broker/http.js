// What the namespace says over HTTP: WebSockets for AMQP, queues as Atom entries, and the orders of the tests (`/-/…`)
// (https://learn.microsoft.com/rest/api/servicebus/queues).
'use strict';
const nodeHttp = require('http');
const { WebSocketServer } = require('../node/node_modules/ws');
const { message: messages } = require('../node/node_modules/rhea');

const { delivered, terms } = require('./content');
const { bare } = require('./raw');

function http(namespace, faults, amqp) {
  const server = nodeHttp.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      const { status, type, text } = answer(namespace, faults, amqp, request, body);
      response.writeHead(status, { 'content-type': type }).end(text);
    });
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'amqp' });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url.toLowerCase().startsWith('/$servicebus/websocket')) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (websocket) => amqp.acceptWebSocket(websocket));
  });
  return server;
}

function answer(namespace, faults, amqp, request, body) {
  const name = decodeURIComponent(new URL(request.url, 'http://broker').pathname.slice(1));
  const json = (value) => ({ status: 200, type: 'application/json', text: JSON.stringify(value) });
  if (name === '-/faults') {
    const { done } = faults;
    if (request.method === 'PUT') faults.order(JSON.parse(body));
    return json(done);
  }
  if (name.startsWith('-/queues/')) {
    namespace.create(name.slice('-/queues/'.length), JSON.parse(body));
    return json({});
  }
  if (name.startsWith('-/topics/')) {
    const { subscriptions, ...settings } = JSON.parse(body);
    namespace.createTopic(name.slice('-/topics/'.length), subscriptions, settings);
    return json({});
  }
  if (name.startsWith('-/locks/')) return json({ locked: namespace.find(name.slice('-/locks/'.length)).locks.size });
  if (name.startsWith('-/done/')) {
    const { taken, done } = namespace.find(name.slice('-/done/'.length));
    return json({ taken: taken.first, ...done });
  }
  if (name.startsWith('-/sessions/')) {
    // Who holds a session, what state it has, and how often the messages of each were delivered in vain.
    const queue = namespace.find(name.slice('-/sessions/'.length));
    const deliveries = (id) => queue.peek(0, Infinity).filter((it) => it.content.group_id === id).map((it) => it.deliveries);
    const told = [...queue.sessions.known.values()].map(({ id, link, state }) => [id, { held: Boolean(link), state: state && state.toString(), deliveries: deliveries(id) }]);
    return json(Object.fromEntries(told));
  }
  if (name.startsWith('-/raw/')) {
    // Messages as bytes, in hexadecimal digits: PUT sends them, GET shows what is there as it would be delivered.
    const queue = namespace.find(name.slice('-/raw/'.length));
    if (request.method === 'PUT') {
      for (const hex of JSON.parse(body)) {
        const content = messages.decode(Buffer.from(hex, 'hex'));
        queue.send(content, terms(content));
      }
      // A bench puts in thousands, and does not ask for them back.
      if (request.headers.prefer === 'return=minimal') return json({});
    }
    const there = queue.peek(0, Infinity);
    const hex = (bytes) => bytes.toString('hex');
    return json({ messages: there.map((it) => hex(delivered(queue, it))), bare: there.map((it) => hex(bare(it.content.raw))) });
  }
  if (name === '-/state') return json(amqp.state());
  const atom = (status, text) => ({ status, type: 'application/atom+xml;type=entry;charset=utf-8', text });
  const refused = amqp.tokens.refuse(request.headers.authorization || '');
  if (refused) return atom(401, `<Error><Code>401</Code><Detail>${refused}</Detail></Error>`);
  if (faults.at('count')) return atom(401, '<Error><Code>401</Code><Detail>Manage,EntityRead claims required for this operation.</Detail></Error>');
  const queue = namespace.find(name);
  if (request.method === 'PUT') {
    if (queue) return atom(409, '<Error><Code>409</Code><Detail>SubCode=40900. Conflict.</Detail></Error>');
    return atom(201, entry(namespace.create(name, settings(body))));
  }
  // The service answers an unknown queue with an empty feed.
  return atom(200, queue ? entry(queue) : '<feed xmlns="http://www.w3.org/2005/Atom"><title>Publicly Listed Services</title></feed>');
}

function settings(xml) {
  const found = (name) => (new RegExp(`<(?:\\w+:)?${name}[^>]*>([^<]*)<`).exec(xml) || [])[1];
  const [lock, deliveries] = [found('LockDuration'), found('MaxDeliveryCount')];
  const chosen = {};
  if (deliveries) chosen.maxDeliveries = Number(deliveries);
  if (lock) {
    const [, minutes = 0, seconds = 0] = /^P(?:0D)?T(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(lock);
    chosen.lockMs = (Number(minutes) * 60 + Number(seconds)) * 1000;
  }
  return chosen;
}

function entry(queue) {
  if (queue.isTopic) {
    return `<entry xmlns="http://www.w3.org/2005/Atom"><id>http://broker/${queue.name}</id><title type="text">${queue.name}</title>
<content type="application/xml"><TopicDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<MaxSizeInMegabytes>1024</MaxSizeInMegabytes><SubscriptionCount>${queue.subscriptions.length}</SubscriptionCount></TopicDescription></content></entry>`;
  }
  const kind = /\/subscriptions\//i.test(queue.name) ? 'SubscriptionDescription' : 'QueueDescription';
  const { active, scheduled, dead } = queue.counts();
  return `<entry xmlns="http://www.w3.org/2005/Atom"><id>http://broker/${queue.name}</id><title type="text">${queue.name}</title>
<content type="application/xml"><${kind} xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<LockDuration>PT${queue.lockMs / 1000}S</LockDuration><MaxSizeInMegabytes>1024</MaxSizeInMegabytes>
<RequiresDuplicateDetection>false</RequiresDuplicateDetection><RequiresSession>${Boolean(queue.sessions)}</RequiresSession>
<MaxDeliveryCount>${queue.maxDeliveries}</MaxDeliveryCount><MessageCount>${active + scheduled + dead}</MessageCount><Status>Active</Status>
<CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus"><d2p1:ActiveMessageCount>${active}</d2p1:ActiveMessageCount>
<d2p1:DeadLetterMessageCount>${dead}</d2p1:DeadLetterMessageCount><d2p1:ScheduledMessageCount>${scheduled}</d2p1:ScheduledMessageCount>
<d2p1:TransferMessageCount>0</d2p1:TransferMessageCount><d2p1:TransferDeadLetterMessageCount>0</d2p1:TransferDeadLetterMessageCount></CountDetails>
</${kind}></content></entry>`;
}

module.exports = { http };
