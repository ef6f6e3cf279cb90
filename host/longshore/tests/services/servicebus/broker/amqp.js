// AMQP as Service Bus speaks it
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide).
'use strict';
const rhea = require('../node/node_modules/rhea');

const { waiting, answered, refused, address, together } = require('./links');
const { management, LOCK_LOST } = require('./management');
const { delivered, unpacked, terms } = require('./content');
const { typed } = require('./raw');
const { Tokens } = require('./tokens');

const MAX_MESSAGE = 256 * 1024;
const SESSION_FILTER = 'com.microsoft:session-filter';
const FORMAT = 0;
const { message: messages, types } = rhea;

class Amqp {
  constructor(namespace, faults, maxMessage = MAX_MESSAGE, channelMax = undefined) {
    Object.assign(this, { namespace, faults, maxMessage, channelMax });
    Object.assign(this, { openings: 0, puts: 0, receivers: 0, requests: {} });
    this.tokens = new Tokens();
    this.clients = new Map(); // what is known of each connection
    this.container = rhea.create_container({ id: 'broker' });
    this.container.sasl_server_mechanisms.enable_anonymous();
    this.container.sasl_server_mechanisms.MSSBCBS = this.container.sasl_server_mechanisms.ANONYMOUS;
    const on = (event, handler) => this.container.on(event, handler.bind(this));
    on('connection_open', this.opened);
    on('disconnected', ({ connection }) => this.forget(connection));
    on('connection_close', ({ connection }) => this.forget(connection));
    for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error']) on(event, () => {});
    // A mistake of ours, or of the peer: nobody may take it for silence.
    on('error', (error) => process.stderr.write(`broker: ${error.stack || error}\n`));
    on('sender_open', this.attachedToReceive);
    on('sender_close', ({ sender }) => this.drop(sender));
    on('sendable', ({ sender }) => this.pump(sender));
    on('sender_flow', ({ sender }) => this.pump(sender));
    // What was there has been sent: the rest of the credit is of no use to anybody.
    on('sender_draining', ({ sender }) => sender.set_drained(true));
    on('receiver_open', this.attachedToSend);
    on('message', this.message);
    for (const outcome of ['accepted', 'rejected', 'released', 'modified']) on(outcome, (event) => this.settled(outcome, event));
  }

  options() {
    // A message that a client modifies counts, one that it releases does not.
    // The library's own buffer of 2,048 deliveries overflows as soon as one of them stays in hand for that long.
    const channels = this.channelMax === undefined ? {} : { channel_max: this.channelMax };
    return { ...channels, require_sasl: false, sender_options: { treat_modified_as_released: false }, idle_time_out: 120_000, session_buffer_size: { outgoing: 1_000_000, incoming: 2048 } };
  }

  accept(socket) {
    const connection = this.container.create_connection(this.options());
    together(connection, socket);
    connection.accept(socket);
  }

  acceptWebSocket(websocket) {
    websocket.on('error', () => {});
    this.container.websocket_accept(websocket, this.options());
  }

  /**
   * What the tests may ask: how many connections there are, and were, how many tokens they brought, how many links received, and how
   * many requests there were of each kind.
   */
  state() {
    const { openings: opened, puts, receivers, requests } = this;
    return { connections: this.clients.size, opened, puts, receivers, requests };
  }

  opened({ connection }) {
    this.openings += 1;
    this.clients.set(connection, { tokens: new Map(), replies: new Map(), links: new Set() });
    if (this.faults.at('open')) this.cut(connection);
  }

  /** Ends a connection as a broken wire does: without a word. */
  cut(connection) {
    const { socket } = connection;
    this.forget(connection);
    if (socket.destroy) socket.destroy();
    else socket.end();
  }

  forget(connection) {
    const client = this.clients.get(connection);
    if (!client) return;
    clearTimeout(client.expiry);
    for (const sender of client.links) this.drop(sender);
    this.clients.delete(connection);
  }

  drop(sender) {
    if (sender.longshore) {
      const { queue } = sender.longshore;
      queue.links.delete(sender.longshore);
      if (queue.sessions) queue.sessions.leave(sender.longshore);
    }
    const client = this.clients.get(sender.connection);
    if (client) client.links.delete(sender);
  }

  /** Whether a link may be attached; if not, it is closed with the reason. */
  admitted(link, name) {
    const client = this.clients.get(link.connection);
    const close = (condition, description) => refused(link, condition, description);
    if (!client) return undefined;
    const fault = this.faults.at('attach');
    if (fault === 'busy' || fault === 'detach') return close('com.microsoft:server-busy', 'The service is busy.');
    if (fault === 'quota') return close('amqp:resource-limit-exceeded', 'Cannot allocate more handles to the current session or connection.');
    if (fault) {
      this.cut(link.connection);
      return undefined;
    }
    const entity = name.replace(/\/\$management$/, '');
    // .NET asks for a token for the management node itself when it comes there first.
    const audiences = [...client.tokens.keys()].map((audience) => audience.replace(/\/\$management$/, ''));
    const allowed = audiences.some((audience) => entity === audience || entity.startsWith(`${audience}/`));
    if (!allowed) return close('amqp:unauthorized-access', `Unauthorized access. 'Listen' claim(s) are required: ${entity}`);
    const queue = this.namespace.find(entity);
    if (!queue) return close('amqp:not-found', `The messaging entity '${entity}' could not be found.`);
    return queue;
  }

  /** The peer receives: messages, or the answers to its requests. */
  attachedToReceive({ sender }) {
    const { source, target, snd_settle_mode: mode } = sender.remote.attach;
    const name = address(source);
    sender.set_source(source);
    // An empty target would be one to the clients: it is echoed only if there is an address.
    sender.set_target(target && target.address ? target : {});
    Object.assign(sender.local.attach, {
      initial_delivery_count: 0,
      rcv_settle_mode: sender.remote.attach.rcv_settle_mode || 0,
      snd_settle_mode: mode === undefined || mode === null ? 2 : mode,
    });
    if (name === '$cbs' || name.endsWith('/$management')) {
      if (name !== '$cbs' && !this.admitted(sender, name)) return;
      const client = this.clients.get(sender.connection);
      if (!client) return;
      client.replies.set(name, sender);
      if (target && target.address) client.replies.set(target.address, sender);
      return;
    }
    const queue = this.admitted(sender, name);
    if (!queue) return;
    if (queue.isTopic) {
      refused(sender, 'amqp:not-allowed', 'Cannot open a Topic client for entity type Subscriber.');
      return;
    }
    const filter = (source && source.filter) || {};
    const wantsSession = SESSION_FILTER in filter;
    if (Boolean(queue.sessions) !== wantsSession) {
      const description = queue.sessions
        ? 'It is not possible for an entity that requires sessions to create a non-sessionful message receiver.'
        : 'A sessionful message receiver cannot be created on an entity that does not require sessions.';
      refused(sender, 'amqp:not-allowed', description);
      return;
    }
    this.receivers += 1;
    const amqp = this;
    const settled = mode === 1;
    sender.longshore = {
      queue,
      session: undefined,
      // A connection that was cut leaves its links open, and nothing more is locked for them.
      ready: () => queue.links.has(sender.longshore) && sender.is_open() && sender.credit > waiting(sender, queue),
      deliver: (message, lock) => amqp.deliver(sender, message, lock, settled),
    };
    this.clients.get(sender.connection).links.add(sender);
    if (wantsSession) {
      const named = filter[SESSION_FILTER];
      // Go's client writes it described.
      this.attachToSession(sender, source, named && named.value !== undefined ? named.value : named);
      return;
    }
    this.begin(sender);
  }

  /** Answers an attach when there is a session for it, or when it has waited for long enough. */
  attachToSession(sender, source, named) {
    const { longshore: link } = sender;
    const { queue } = link;
    const wanted = named === null ? undefined : named;
    // What the library has queued is taken back.
    sender.state.open_requests = 0;
    sender.state.local_open = false;
    const given = (sender.remote.attach.properties || {})['com.microsoft:timeout'];
    const patience = given === undefined ? 60_000 : Number(given);
    let timer;
    const refuse = (condition, description) => {
      clearTimeout(timer);
      queue.sessions.waiting.delete(link);
      sender.open();
      refused(sender, condition, description);
    };
    link.lost = () => {
      sender.close({ condition: 'com.microsoft:session-lock-lost', description: 'The session lock has expired on the MessageSession.' });
      this.drop(sender);
    };
    link.tryNext = () => {
      const session = queue.sessions.take(wanted, link);
      if (!session) return false;
      clearTimeout(timer);
      queue.sessions.waiting.delete(link);
      link.session = session.id;
      sender.set_source({ ...source, filter: { [SESSION_FILTER]: session.id } });
      // .NET's ticks: 100 ns since the year 1.
      const ticks = Buffer.alloc(8);
      ticks.writeBigInt64BE(BigInt(session.until) * 10_000n + 621_355_968_000_000_000n);
      sender.local.attach.properties = { 'com.microsoft:locked-until-utc': types.wrap_long(ticks) };
      sender.open();
      this.begin(sender);
      return true;
    };
    if (link.tryNext()) return;
    if (wanted !== undefined) {
      refuse('com.microsoft:session-cannot-be-locked', `The requested session '${wanted}' cannot be accepted. It may be locked by another receiver.`);
      return;
    }
    queue.sessions.waiting.add(link);
    timer = setTimeout(() => refuse('com.microsoft:timeout', 'The operation did not complete within the allotted timeout.'), patience).unref();
  }

  /** Messages may be delivered on a link. */
  begin(sender) {
    const { queue } = sender.longshore;
    // Nothing is delivered before the answer to the attach is written: a client that grants credit at once has no such link yet.
    setImmediate(() => setImmediate(() => {
      if (!sender.is_open()) return;
      queue.links.add(sender.longshore);
      queue.pump();
    }));
  }

  deliver(sender, message, lock, settled) {
    const { queue } = sender.longshore;
    let fault = this.faults.at('deliver');
    // A link of a session that loses a message does not go on with the next one.
    if (queue.sessions && (fault === 'silent' || fault === 'busy')) fault = 'detach';
    if (fault === 'detach') {
      sender.close({ condition: 'amqp:link:detach-forced', description: 'The link was force detached.' });
      return this.drop(sender);
    }
    if (fault === 'cut-before') return this.cut(sender.connection);
    if (fault === 'garbled') {
      sender.send(Buffer.from('no message'), queue.tag(lock), 0).longshore = { queue, lock };
      return undefined;
    }
    // `silent` and `busy`: it is locked, and never reaches its receiver.
    if (!fault || fault === 'cut-after') {
      const delivery = sender.send(delivered(queue, message, lock), queue.tag(lock), FORMAT);
      delivery.longshore = { queue, lock };
    }
    if (settled) queue.complete(lock);
    if (fault === 'cut-after') setImmediate(() => this.cut(sender.connection));
    return undefined;
  }

  pump(sender) {
    if (sender.longshore) sender.longshore.queue.pump();
  }

  /** The peer settles on the link: each outcome is echoed, or refused where the lock is gone. */
  settled(outcome, { delivery }) {
    if (!delivery.longshore) return;
    const { queue, lock } = delivery.longshore;
    const { link } = delivery;
    const state = delivery.remote_state || {};
    const refuse = (condition, description) => answered(delivery, messages.rejected({ error: { condition, description } }).described());
    const fault = this.faults.at('settle');
    if (fault === 'cut-before') return this.cut(link.connection);
    if (fault === 'busy') return refuse('com.microsoft:server-busy', 'The service is busy.');
    if (fault === 'detach') {
      link.close({ condition: 'amqp:link:detach-forced', description: 'The link was force detached.' });
      return this.drop(link);
    }
    if (queue.held(lock.token) !== lock) return refuse(LOCK_LOST, 'The lock supplied is invalid.');
    if (!fault) answered(delivery, messages[outcome]({}).described());
    if (fault === 'cut-after') setImmediate(() => this.cut(link.connection));
    if (outcome === 'accepted') queue.complete(lock);
    else if (outcome === 'rejected') {
      const { condition, description, info } = state.error || {};
      const { DeadLetterReason: reason, DeadLetterErrorDescription: detail, ...changes } = info || {};
      queue.deadLetter(lock, reason || condition, detail || description, changes);
    } else if (outcome === 'modified') queue.abandon(lock, typed((state.value || [])[2]));
    else {
      queue.unlock(lock);
      queue.pump();
    }
    return undefined;
  }

  /** The peer sends: messages, or requests. */
  attachedToSend({ receiver }) {
    const { source, target } = receiver.remote.attach;
    const name = address(target);
    receiver.set_target(target);
    receiver.set_source(source && source.address ? source : {});
    receiver.local.attach.max_message_size = this.maxMessage;
    if (name !== '$cbs' && !this.admitted(receiver, name)) return;
    receiver.set_credit_window(1000);
  }

  message({ receiver, message, delivery, connection }) {
    const name = address(receiver.remote.attach.target);
    if (!this.clients.has(connection)) return;
    if (name === '$cbs') return this.request(receiver, message, 'put-token', () => this.putToken(connection, message));
    if (name.endsWith('/$management')) {
      const queue = this.namespace.find(name.replace(/\/\$management$/, ''));
      const { operation } = message.application_properties || {};
      const point = String(operation).replace('com.microsoft:', '');
      return this.request(receiver, message, point, () => management(queue, operation, message.body || {}));
    }
    return this.receive(receiver, this.namespace.find(name), message, delivery);
  }

  receive(receiver, queue, message, delivery) {
    const fault = this.faults.at('send');
    if (fault === 'cut-before') return this.cut(receiver.connection);
    if (fault === 'busy') return delivery.reject({ condition: 'com.microsoft:server-busy', description: 'The service is busy.' });
    if (fault === 'detach') return receiver.close({ condition: 'amqp:link:detach-forced', description: 'The link was force detached.' });
    const contents = unpacked(message, delivery);
    if (queue.sessions && contents.some((it) => it.group_id === undefined || it.group_id === null)) {
      return delivery.reject({ condition: 'amqp:not-allowed', description: 'The SessionId was not set on a message, and it cannot be sent to the entity.' });
    }
    for (const content of contents) queue.send(content, terms(content));
    if (fault === 'cut-after') return this.cut(receiver.connection);
    return fault === 'silent' ? undefined : delivery.accept();
  }

  /** Answers a request, unless a fault was ordered. */
  request(receiver, message, point, act) {
    const { connection } = receiver;
    this.requests[point] = (this.requests[point] || 0) + 1;
    const fault = this.faults.at(point);
    if (fault === 'cut-before') return this.cut(connection);
    if (fault === 'detach') return receiver.close({ condition: 'amqp:link:detach-forced', description: 'The link was force detached.' });
    let answer = { code: 503, condition: 'com.microsoft:server-busy', description: 'The service is busy.' };
    if (fault === 'unknown') answer = { code: 404, description: 'The messaging entity could not be found.' };
    else if (fault !== 'busy') answer = act();
    if (fault === 'cut-after') return this.cut(connection);
    if (fault === 'silent') return undefined;
    const client = this.clients.get(connection);
    const reply = client.replies.get(message.reply_to) || client.replies.get(address(receiver.remote.attach.target));
    const { code, description = 'OK', condition, body = null } = answer;
    const properties = { statusCode: types.wrap_int(code), statusDescription: description };
    // `$cbs` and the older operations write these with dashes.
    Object.assign(properties, { 'status-code': types.wrap_int(code), 'status-description': description });
    if (condition) properties.errorCondition = types.wrap_symbol(condition);
    const id = message.message_id;
    const correlation = typeof id === 'number' ? types.wrap_ulong(id) : id;
    // The request is settled first: .NET sends its next one, under the same tag, as soon as it has the answer.
    return reply && setImmediate(() => reply.is_open() && reply.send({ correlation_id: correlation, application_properties: properties, body }));
  }

  putToken(connection, message) {
    const client = this.clients.get(connection);
    const { name } = message.application_properties;
    this.puts += 1;
    try {
      client.tokens.set(address({ address: name }), this.tokens.verify(String(message.body)));
    } catch (error) {
      return { code: 401, description: error.message, condition: 'amqp:unauthorized-access' };
    }
    this.watch(connection, client);
    return { code: 202, description: 'Accepted' };
  }

  /** Whoever lets a token run out is cut off. */
  watch(connection, client) {
    clearTimeout(client.expiry);
    const first = Math.min(...client.tokens.values());
    const wait = Math.min(first - Date.now(), 2 ** 31 - 1);
    client.expiry = setTimeout(() => connection.close({ condition: 'amqp:unauthorized-access', description: 'The token has expired.' }), wait);
    client.expiry.unref();
  }
}

module.exports = { Amqp };
