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
      let told;
      try {
        told = answer(namespace, faults, amqp, request, body);
      } catch (error) {
        told = refusal(error);
      }
      response.writeHead(told.status, { 'content-type': told.type }).end(told.text);
    });
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'amqp' });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url.toLowerCase().startsWith('/$servicebus/websocket')) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (websocket) => amqp.acceptWebSocket(websocket));
  });
  return server;
}

/** A name that nobody has made. */
class Unknown extends Error {}

/** What is wrong with one request ends neither this broker nor the tests beside. */
function refusal(error) {
  const text = error instanceof Unknown ? error.message : String(error.stack);
  return { status: error instanceof Unknown ? 404 : 400, type: 'text/plain', text };
}

const json = (value) => ({ status: 200, type: 'application/json', text: JSON.stringify(value) });

function answer(namespace, faults, amqp, request, body) {
  const name = decodeURIComponent(new URL(request.url, 'http://broker').pathname.slice(1));
  if (name.startsWith('-/')) return json(carryOut(namespace, faults, amqp, request, name.slice(2), body));
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

/** Does what a test orders, or asks (`/-/…`). */
function carryOut(namespace, faults, amqp, { method, headers }, order, body) {
  const slash = order.indexOf('/');
  const [kind, name] = slash < 0 ? [order] : [order.slice(0, slash), order.slice(slash + 1)];
  const queue = () => {
    const found = namespace.find(name || '');
    if (!found || found.isTopic) throw new Unknown(`there is no queue and no subscription ${name}`);
    return found;
  };
  switch (kind) {
    case 'faults': {
      const { done } = faults;
      if (method === 'PUT') faults.order(JSON.parse(body));
      return done;
    }
    case 'queues':
      namespace.create(name, JSON.parse(body));
      return {};
    case 'topics': {
      const { subscriptions, ...settings } = JSON.parse(body);
      namespace.createTopic(name, subscriptions, settings);
      return {};
    }
    case 'locks': return { locked: queue().locks.size };
    case 'done': return { taken: queue().taken.first, ...queue().done };
    case 'sessions': return sessions(queue());
    case 'raw': return raw(queue(), method, headers, body);
    case 'state': return amqp.state();
    default: throw new Unknown('there is no such order');
  }
}

/** Who holds a session, what state it has, and how often the messages of each were delivered in vain. */
function sessions(queue) {
  if (!queue.sessions) throw new Unknown(`${queue.name} has no sessions`);
  const deliveries = (id) => queue.peek(0, Infinity).filter((it) => it.content.group_id === id).map((it) => it.deliveries);
  const told = [...queue.sessions.known.values()].map(({ id, link, state }) => [id, { held: Boolean(link), state: state && state.toString(), deliveries: deliveries(id) }]);
  return Object.fromEntries(told);
}

/** Messages as bytes, in hexadecimal digits: PUT sends them, GET shows what is there as it would be delivered. */
function raw(queue, method, headers, body) {
  if (method === 'PUT') {
    for (const hex of JSON.parse(body)) {
      const content = messages.decode(Buffer.from(hex, 'hex'));
      queue.send(content, terms(content));
    }
    // A bench puts in thousands, and does not ask for them back.
    if (headers.prefer === 'return=minimal') return {};
  }
  const there = queue.peek(0, Infinity);
  const hex = (bytes) => bytes.toString('hex');
  return { messages: there.map((it) => hex(delivered(queue, it))), bare: there.map((it) => hex(bare(it.content.raw))) };
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
