// What lies in a queue as it was sent, and as it travels to a receiver.
'use strict';
const { message: messages, types } = require('../node/node_modules/rhea');

const { travelling } = require('./raw');

// A batch, as the SDKs send it: its data sections are messages.
const BATCH = 0x80013700;

/** A message as it travels to a receiver: its bytes. */
function delivered(queue, message, lock) {
  const { content, sequence, enqueued } = message;
  const annotations = {
    ...content.message_annotations,
    'x-opt-sequence-number': types.wrap_long(sequence),
    'x-opt-enqueued-time': types.wrap_timestamp(enqueued),
    'x-opt-message-state': types.wrap_int(message.enqueued > Date.now() ? 2 : 0),
  };
  if (lock) annotations['x-opt-locked-until'] = types.wrap_timestamp(lock.until);
  const sent = { durable: true, delivery_count: queue.count(message), message_annotations: annotations };
  if (content.priority !== undefined) sent.priority = content.priority;
  if (message.ttl !== undefined) sent.ttl = message.ttl;
  if (lock) sent.delivery_annotations = { 'x-opt-lock-token': types.wrap_uuid(lock.token) };
  return travelling(content, sent);
}

function unpacked(message, delivery) {
  const strip = ({ delivery_count, ...content }) => content;
  if (delivery.format !== BATCH && !Buffer.isBuffer(message)) return [strip(message)];
  const batch = Buffer.isBuffer(message) ? messages.decode(message) : message;
  const parts = batch.body.multiple ? batch.body.content : [batch.body.content];
  return parts.map((part) => strip(messages.decode(part)));
}

function terms(content) {
  const due = (content.message_annotations || {})['x-opt-scheduled-enqueue-time'];
  return { due: due === undefined ? 0 : Number(due), ttl: content.ttl };
}

module.exports = { delivered, unpacked, terms };
