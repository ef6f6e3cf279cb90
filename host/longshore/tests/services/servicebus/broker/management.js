// What is asked of a queue over its `$management` node
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response).
'use strict';
const { message: messages, types } = require('../node/node_modules/rhea');

const { delivered, terms } = require('./content');

// The largest state of a session, as in the Standard tier
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas). How the service refuses a larger one is not published.
const MAX_STATE = 256 * 1024;
const LOCK_LOST = 'com.microsoft:message-lock-lost';
const lost = { code: 410, condition: LOCK_LOST, description: 'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.' };
const sessionLost = { code: 410, condition: 'com.microsoft:session-lock-lost', description: 'The session lock has expired on the MessageSession.' };

function management(queue, operation, body) {
  // A topic is asked to schedule, and nothing else: what it was sent lies in its subscriptions.
  if (queue.isTopic && operation !== 'com.microsoft:schedule-message') {
    return { code: 400, condition: 'amqp:not-allowed', description: `${operation} is not allowed on a topic.` };
  }
  switch (operation) {
    case 'com.microsoft:renew-lock': return renew(queue, body);
    case 'com.microsoft:update-disposition': return settle(queue, body);
    case 'com.microsoft:peek-message': return peek(queue, body);
    case 'com.microsoft:schedule-message': return schedule(queue, body);
    case 'com.microsoft:renew-session-lock': return ofSession(queue, body, renewSession);
    case 'com.microsoft:get-session-state': return ofSession(queue, body, state);
    case 'com.microsoft:set-session-state': return ofSession(queue, body, setState);
    case 'com.microsoft:get-message-sessions': return listSessions(queue, body);
    default: return { code: 501, condition: 'amqp:not-implemented', description: `${operation} is not implemented` };
  }
}

/** The locks of a request; none if one of them is gone. */
function locks(queue, body) {
  const found = [].concat(body['lock-tokens'] || []).map((token) => queue.held(Buffer.from(token)));
  return found.length > 0 && found.every(Boolean) ? found : undefined;
}

/** Does something with the session that a request names, if it is held. */
function ofSession(queue, body, act) {
  if (!queue.sessions) return { code: 400, condition: 'amqp:not-allowed', description: 'The entity does not require sessions.' };
  const session = queue.sessions.held(body['session-id']);
  if (!session) return sessionLost;
  return act(session, queue, body);
}

function renewSession(session, queue) {
  queue.sessions.renew(session);
  return { code: 200, body: { expiration: types.wrap_timestamp(session.until) } };
}

function state(session) {
  return { code: 200, body: { 'session-state': session.state === null ? null : types.wrap_binary(session.state) } };
}

function setState(session, queue, body) {
  const given = body['session-state'];
  if (given && given.length > MAX_STATE) {
    return { code: 403, condition: 'amqp:link:message-size-exceeded', description: `The session state has ${given.length} bytes, of ${MAX_STATE} allowed.` };
  }
  session.state = given === null || given === undefined ? null : Buffer.from(given);
  return { code: 200 };
}

function listSessions(queue, body) {
  if (!queue.sessions) return { code: 400, condition: 'amqp:not-allowed', description: 'The entity does not require sessions.' };
  const [skip, top] = [Number(body.skip || 0), Number(body.top || 100)];
  const ids = queue.sessions.list().slice(skip, skip + top);
  if (ids.length === 0) return { code: 204 };
  return { code: 200, body: { skip: types.wrap_int(skip + ids.length), 'sessions-ids': types.wrap_array(ids, 0xb1) } };
}

function renew(queue, body) {
  const held = locks(queue, body);
  if (!held) return lost;
  held.forEach((lock) => queue.renew(lock));
  return { code: 200, body: { expirations: types.wrap_array(held.map((lock) => lock.until), 0x83) } };
}

function settle(queue, body) {
  const held = locks(queue, body);
  if (!held) return lost;
  // A lock of a session is found by its session alone.
  const isMeant = (lock) => lock.message.content.group_id === body['session-id'];
  if (queue.sessions && !(queue.sessions.held(body['session-id']) && held.every(isMeant))) return sessionLost;
  const actions = {
    completed: (lock) => queue.complete(lock),
    abandoned: (lock) => queue.abandon(lock, body['properties-to-modify']),
    suspended: (lock) => queue.deadLetter(lock, body['deadletter-reason'], body['deadletter-description'], body['properties-to-modify']),
  };
  const action = actions[body['disposition-status']];
  if (!action) return { code: 400, condition: 'com.microsoft:argument-error', description: 'no such disposition' };
  held.forEach(action);
  return { code: 200 };
}

function peek(queue, body) {
  const session = body['session-id'];
  const from = Number(body['from-sequence-number'] || 0);
  const all = queue.peek(from, Infinity).filter((it) => session === undefined || session === null || it.content.group_id === session);
  const found = all.slice(0, Number(body['message-count'] || 1));
  if (found.length === 0) return { code: 204, condition: 'com.microsoft:message-not-found', description: 'No messages.' };
  const peeked = found.map((message) => ({ message: delivered(queue, message) }));
  return { code: 200, body: { messages: types.wrap_list(peeked.map((it) => types.wrap_map({ message: types.wrap_binary(it.message) }))) } };
}

function schedule(queue, body) {
  const sequences = [].concat(body.messages || []).map(({ message }) => {
    const content = messages.decode(message);
    return queue.send(content, terms(content));
  });
  return { code: 200, body: { 'sequence-numbers': types.wrap_array(sequences, 0x81) } };
}

module.exports = { management, LOCK_LOST };
