// Queues in peek-lock, and topics whose subscriptions are queues: what is ready, what is locked and until when, what is scheduled, and what was dead-lettered
// (https://learn.microsoft.com/azure/service-bus-messaging/message-transfers-locks-settlement).
'use strict';
const crypto = require('crypto');

const { withProperties } = require('./raw');
const { Sessions } = require('./sessions');

// Mistakes that can be planted. None of the official clients may be content with any of them.
const BUGS = [
  'tag-order', // the delivery tag holds the lock token in network order, and not in .NET's
  'no-expiry', // locks never end
  'count', // the first delivery says that there was one before
  'no-dead-letter', // the maximum of deliveries is ignored
  'one-copy', // what a topic is sent reaches only one of its subscriptions
  'session-twice', // a session that is held is given to another link
  'session-mixed', // the link of a session gets messages of all sessions
];

/** Tokens of locks. They are drawn by the hundred: drawing one takes as long. */
const tokens = {
  drawn: Buffer.alloc(0),
  next() {
    if (this.drawn.length === 0) this.drawn = crypto.randomBytes(16 * 256);
    const token = this.drawn.subarray(0, 16);
    this.drawn = this.drawn.subarray(16);
    return token;
  },
};

const DEAD_LETTER = '/$deadletterqueue';

/** All queues, by their names in lower case; the subscriptions of a topic are among them. */
class Namespace {
  constructor(bug) {
    this.bug = bug;
    this.queues = new Map();
    this.topics = new Map();
  }

  /** A topic with these subscriptions, each of which lets everything in. */
  createTopic(name, subscriptions, settings) {
    const topic = new Topic(this.bug, name, subscriptions.map((it) => this.create(`${name}/Subscriptions/${it}`, settings)));
    this.topics.set(name.toLowerCase(), topic);
    return topic;
  }

  create(name, { lockMs = 60_000, maxDeliveries = 10, sessions = false } = {}) {
    const queue = new Queue(this.bug, name, { lockMs, maxDeliveries });
    // Its dead letters are without.
    if (sessions) queue.sessions = new Sessions(queue);
    queue.dead = new Queue(this.bug, name + DEAD_LETTER, { lockMs, maxDeliveries: Infinity });
    for (const made of [queue, queue.dead]) this.queues.set(made.name.toLowerCase(), made);
    return queue;
  }

  find(name) {
    return this.queues.get(name.toLowerCase()) || this.topics.get(name.toLowerCase());
  }
}

/** What is sent to a topic lies in each of its subscriptions, and nowhere else. */
class Topic {
  constructor(bug, name, subscriptions) {
    Object.assign(this, { bug, name, subscriptions, isTopic: true });
  }

  send(content, terms) {
    const reached = this.bug === 'one-copy' ? this.subscriptions.slice(0, 1) : this.subscriptions;
    return reached.map((it) => it.send(content, terms))[0];
  }
}

class Queue {
  constructor(bug, name, { lockMs, maxDeliveries }) {
    Object.assign(this, { bug, name, lockMs, maxDeliveries });
    this.sessions = undefined;
    this.messages = new Map(); // everything that is there, by sequence number, in order
    this.locks = new Map(); // by token, as hexadecimal digits
    this.links = new Set(); // what wants messages: { ready(): boolean, deliver(message, lock) }
    this.sequence = 0;
    this.from = 1; // what was sent before this one is gone or locked: thousands need not be looked at for each delivery
    this.taken = { first: undefined }; // when the first message was locked (ms), for the bench
    this.done = { count: 0, first: undefined, last: undefined }; // and what was completed
  }

  /** Puts a message in; `due` (ms): not before. */
  send(content, { due = 0, deliveries = 0, ttl, dead = false } = {}) {
    const now = Date.now();
    const sequence = ++this.sequence;
    const enqueued = Math.max(now, due);
    // Nothing expires among the dead letters.
    const expires = ttl === undefined || dead ? Infinity : enqueued + ttl;
    this.messages.set(sequence, { sequence, content, enqueued, expires, ttl, deliveries, lock: undefined });
    if (due > now) setTimeout(() => this.pump(), due - now).unref();
    else setImmediate(() => this.pump());
    return sequence;
  }

  /** The first message that may be delivered now, and is of this kind. Those that expired are dropped on the way. */
  first(isMeant = () => true) {
    const now = Date.now();
    let allTaken = true;
    for (let at = this.from; at <= this.sequence; at += 1) {
      const message = this.messages.get(at);
      if (message && !message.lock && message.expires > now) {
        if (message.enqueued <= now && isMeant(message)) return message;
        allTaken = false;
      } else if (message && !message.lock) this.messages.delete(at);
      if (allTaken) this.from = at + 1;
    }
    return undefined;
  }

  /** The same for a link, which may be that of a session. */
  next({ session }) {
    if (session === undefined || this.bug === 'session-mixed') return this.first();
    return this.first((it) => it.content.group_id === session);
  }

  /** Delivers for as long as there are messages, and links with credit. */
  pump() {
    if (this.sessions) this.sessions.offer();
    for (const link of this.links) {
      while (link.ready()) {
        const message = this.next(link);
        if (!message) break;
        link.deliver(message, this.lock(message));
      }
    }
  }

  lock(message) {
    const token = tokens.next();
    const lock = { message, token, until: 0, timer: undefined };
    message.lock = lock;
    this.taken.first ??= Date.now();
    this.locks.set(token.toString('hex'), lock);
    this.renew(lock);
    return lock;
  }

  /** The delivery tag: the lock's token as .NET writes a GUID, its first three fields with the lowest byte first. */
  tag({ token }) {
    if (this.bug === 'tag-order') return token;
    return Buffer.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((at) => token[at]));
  }

  /** What a message's header says: how often it was delivered in vain. */
  count(message) {
    return message.deliveries + (this.bug === 'count' ? 1 : 0);
  }

  held(token) {
    const lock = this.locks.get(token.toString('hex'));
    // After a pause of this process its timer may be late.
    if (!lock || this.sessions || lock.until > Date.now() || this.bug === 'no-expiry') return lock;
    this.abandon(lock);
    return undefined;
  }

  renew(lock) {
    lock.until = Date.now() + this.lockMs;
    clearTimeout(lock.timer);
    // In a session it is the session that is locked.
    if (this.bug === 'no-expiry' || this.sessions) return;
    lock.timer = setTimeout(() => this.abandon(lock), this.lockMs).unref();
  }

  unlock(lock) {
    clearTimeout(lock.timer);
    this.locks.delete(lock.token.toString('hex'));
    lock.message.lock = undefined;
    this.from = Math.min(this.from, lock.message.sequence);
  }

  complete(lock) {
    const { from } = this;
    this.unlock(lock);
    this.messages.delete(lock.message.sequence);
    this.from = from;
    this.done.count += 1;
    this.done.last = Date.now();
    this.done.first ??= this.done.last;
  }

  /** Also what becomes of a message whose lock ends. `changes`: properties that it gets. */
  abandon(lock, changes) {
    this.unlock(lock);
    const { message } = lock;
    message.content = changed(message.content, changes);
    message.deliveries += 1;
    if (message.deliveries >= this.maxDeliveries && this.bug !== 'no-dead-letter') {
      const detail = `Message could not be consumed after ${this.maxDeliveries} delivery attempts.`;
      this.bury(message, 'MaxDeliveryCountExceeded', detail);
    }
    setImmediate(() => this.pump());
  }

  deadLetter(lock, reason, detail, changes) {
    this.unlock(lock);
    lock.message.content = changed(lock.message.content, changes);
    this.bury(lock.message, reason, detail);
  }

  bury(message, reason, detail) {
    this.messages.delete(message.sequence);
    const why = {};
    if (reason !== undefined) why.DeadLetterReason = reason;
    if (detail !== undefined) why.DeadLetterErrorDescription = detail;
    const content = { ...message.content, raw: withProperties(message.content.raw, why) };
    this.dead.send(content, { deliveries: message.deliveries, ttl: message.ttl, dead: true });
  }

  /** Up to `count` messages from a sequence number on, locked and scheduled ones included. */
  peek(from, count) {
    const now = Date.now();
    const there = [...this.messages.values()].filter((it) => it.expires > now || it.lock);
    return there.filter((it) => it.sequence >= from).slice(0, count);
  }

  counts() {
    const now = Date.now();
    const there = this.peek(0, Infinity);
    const scheduled = there.filter((it) => it.enqueued > now).length;
    return { active: there.length - scheduled, scheduled, dead: this.dead ? this.dead.messages.size : 0 };
  }
}

/** The content with these application properties beside those that are there. */
function changed(content, changes) {
  return changes && Object.keys(changes).length > 0 ? { ...content, raw: withProperties(content.raw, changes) } : content;
}

module.exports = { Namespace, BUGS, DEAD_LETTER };
