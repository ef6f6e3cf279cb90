// Messages as the bytes that carry them, so that what this broker delivers is what was sent, in every type
// (https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#section-message-format).
'use strict';
const rhea = require('../node/node_modules/rhea');

const { message: messages } = rhea;
const [HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, APPLICATION_PROPERTIES] = [0x70, 0x71, 0x72, 0x74];
const NAMES = { 'amqp:header:list': 0x70, 'amqp:delivery-annotations:map': 0x71, 'amqp:message-annotations:map': 0x72, 'amqp:application-properties:map': 0x74 };

// What is decoded keeps the bytes that it was made of; what the library cannot decode is nothing but those, and the sections that it can.
const decode = messages.decode;
messages.decode = (bytes) => {
  let decoded = {};
  try {
    decoded = decode(bytes);
  } catch {
    // It is carried all the same.
    decoded = partly(bytes);
  }
  decoded.raw = Buffer.from(bytes);
  return decoded;
};

/** The sections of a message that can be decoded by themselves. */
function partly(bytes) {
  const decoded = {};
  for (const { whole } of leading(bytes).parts) {
    try {
      Object.assign(decoded, decode(whole));
    } catch {
      // The next one may be.
    }
  }
  return decoded;
}

/** How many bytes the first value takes. */
function size(bytes, at = 0) {
  const constructor = bytes[at];
  if (constructor === 0) {
    const descriptor = size(bytes, at + 1);
    return 1 + descriptor + size(bytes, at + 1 + descriptor);
  }
  const fixed = { 4: 1, 5: 2, 6: 3, 7: 5, 8: 9, 9: 17 }[constructor >> 4];
  if (fixed) return fixed;
  return (constructor >> 4) % 2 === 0 ? 2 + bytes[at + 1] : 5 + bytes.readUInt32BE(at + 1);
}

/** The sections of a message, and what follows them that is none. */
function leading(bytes) {
  const parts = [];
  let at = 0;
  try {
    while (bytes[at] === 0) {
      const descriptor = bytes.subarray(at + 1, at + 1 + size(bytes, at + 1));
      const whole = bytes.subarray(at, at + size(bytes, at));
      if (!(at + size(bytes, at) <= bytes.length)) break;
      const code = descriptor[0] === 0xa3 ? NAMES[descriptor.subarray(2).toString()] : descriptor[descriptor.length - 1];
      parts.push({ code, whole, value: whole.subarray(1 + descriptor.length) });
      at += whole.length;
    }
  } catch {
    // Too deep, or cut off.
  }
  return { parts, rest: bytes.subarray(at) };
}

/** The message as it travels: what the service says of it, and the sender's bytes. */
function travelling(content, said) {
  const header = leading(messages.encode(said)).parts.filter(({ code }) => code <= MESSAGE_ANNOTATIONS);
  const { parts, rest } = leading(content.raw);
  const bare = parts.filter(({ code }) => ![HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS].includes(code));
  return Buffer.concat([...[...header, ...bare].map(({ whole }) => whole), rest]);
}

const text = (value) => Buffer.concat([Buffer.from([0xb1]), uint(Buffer.byteLength(value)), Buffer.from(value)]);

/** A value that came with a request, in the type that it came in. */
function encoded(value) {
  if (typeof value === 'string') return text(value);
  if (value && value.type) {
    const writer = new rhea.types.Writer();
    writer.write(value);
    return writer.toBuffer();
  }
  const properties = leading(messages.encode({ application_properties: { it: value } })).parts.find(({ code }) => code === APPLICATION_PROPERTIES);
  const [, pair] = pairsOf(properties.value);
  return pair.subarray(size(pair));
}

/** The pairs of a map as the library reads it, with their types. */
function typed(map) {
  const pairs = {};
  const items = (map && Array.isArray(map.value) && map.value) || [];
  for (let at = 0; at + 1 < items.length; at += 2) pairs[items[at].value] = items[at + 1];
  return pairs;
}

/** The bytes with these application properties behind those that are there. */
function withProperties(raw, added) {
  const names = Object.keys(added);
  const more = Buffer.concat(names.flatMap((name) => [text(name), encoded(added[name])]));
  const { parts, rest } = leading(raw);
  const there = parts.find(({ code }) => code === APPLICATION_PROPERTIES);
  const [count, pairs] = there ? pairsOf(there.value) : [0, Buffer.alloc(0)];
  const map = Buffer.concat([Buffer.from([0, 0x53, APPLICATION_PROPERTIES, 0xd1]), uint(4 + pairs.length + more.length), uint((count + 2 * names.length) % 2 ** 32), pairs, more]);
  const before = parts.filter(({ code }) => code < APPLICATION_PROPERTIES);
  const after = parts.filter(({ code }) => !(code <= APPLICATION_PROPERTIES));
  return Buffer.concat([...before.map(({ whole }) => whole), map, ...after.map(({ whole }) => whole), rest]);
}

function pairsOf(map) {
  return map[0] === 0xc1 ? [map[2], map.subarray(3)] : [map.readUInt32BE(5), map.subarray(9)];
}

function uint(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** What of a message is its sender's alone: its bytes without header and annotations. */
function bare(raw) {
  const { parts, rest } = leading(raw);
  return Buffer.concat([...parts.filter(({ code }) => !(code <= MESSAGE_ANNOTATIONS)).map(({ whole }) => whole), rest]);
}

module.exports = { travelling, withProperties, bare, typed };
