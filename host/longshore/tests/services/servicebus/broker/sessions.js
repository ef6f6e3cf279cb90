// The sessions of a queue: who holds which, until when, and what state each keeps
// (https://learn.microsoft.com/azure/service-bus-messaging/message-sessions).
'use strict';

class Sessions {
  constructor(queue) {
    this.queue = queue;
    this.known = new Map(); // by id: { id, link, until, timer, state }
    this.waiting = new Set(); // links that want the next free session
  }

  get(id) {
    if (!this.known.has(id)) this.known.set(id, { id, link: undefined, until: 0, timer: undefined, state: null });
    return this.known.get(id);
  }

  /** The session of this id, if it is held. */
  held(id) {
    const session = this.known.get(id);
    return session && session.link ? session : undefined;
  }

  isFree(id) {
    return !this.held(id) || this.queue.bug === 'session-twice';
  }

  /** Gives a link the session that it names, or else the free one whose message has waited longest; undefined if there is none. */
  take(wanted, link) {
    let id = wanted;
    if (id === undefined) {
      const message = this.queue.first((it) => this.isFree(it.content.group_id));
      if (!message) return undefined;
      id = message.content.group_id;
    }
    if (!this.isFree(id)) return undefined;
    const session = this.get(id);
    session.link = link;
    this.renew(session);
    return session;
  }

  renew(session) {
    session.until = Date.now() + this.queue.lockMs;
    clearTimeout(session.timer);
    session.timer = setTimeout(() => this.lose(session, true), this.queue.lockMs).unref();
  }

  /** A session is free again. Its messages come again; that counts as a delivery only if the lock ran out. */
  lose(session, ranOut) {
    const { link } = session;
    clearTimeout(session.timer);
    session.link = undefined;
    for (const lock of [...this.queue.locks.values()]) {
      if (lock.message.content.group_id !== session.id) continue;
      if (ranOut) this.queue.abandon(lock);
      else this.queue.unlock(lock);
    }
    if (ranOut && link) link.lost();
    setImmediate(() => this.queue.pump());
  }

  /** A link has ended, and with it its session. */
  leave(link) {
    this.waiting.delete(link);
    for (const session of this.known.values()) if (session.link === link) this.lose(session, false);
  }

  /** Lets links that wait look again. */
  offer() {
    for (const link of [...this.waiting]) link.tryNext();
  }

  /** The ids of the sessions that have messages or a state. */
  list() {
    const ids = new Set(this.queue.peek(0, Infinity).map((it) => it.content.group_id));
    for (const session of this.known.values()) if (session.state !== null) ids.add(session.id);
    return [...ids];
  }
}

module.exports = { Sessions };
