// What the AMQP library does not do for links, or does otherwise than the service.
'use strict';
const frames = require('../node/node_modules/rhea/lib/frames');

/** How much of a session's output still waits to be written: rhea takes a link's credit only then. */
function waiting({ session: { outgoing } }, queue) {
  const count = outgoing.next_delivery_id - outgoing.next_pending_delivery;
  if (count > 0) setImmediate(() => queue.pump());
  return count;
}

/**
 * Settles a delivery with an outcome. The library would tell two outcomes of deliveries that follow each other as one, the first,
 * and would keep a delivery until the peer has said that it is settled as well.
 */
function answered(delivery, state) {
  Object.assign(delivery, { settled: true, remote_settled: true, state });
  delivery.link.session.output(frames.disposition({ role: false, first: delivery.id, last: delivery.id, state, settled: true }));
}

/** A link that is refused is attached without a terminus, and then detached (AMQP 1.0, part 2, 2.6.3). */
function refused(link, condition, description) {
  link.local.attach[link.is_receiver() ? 'target' : 'source'] = undefined;
  link.close({ condition, description });
}

/** A queue's name, as it is written in addresses and audiences: with or without scheme and host. */
function address(terminus) {
  const text = String((terminus && terminus.address) || '');
  return text.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/^\/+|\/+$/g, '').toLowerCase();
}

// The most frames that wait for each other: a peer that has got the first ones works on them meanwhile.
const TOGETHER = 16;

/** Lets frames that are written at the same time leave together: the library has a system call, and a packet, for each of them. */
function together(connection, socket) {
  const { output } = connection;
  let frames = 0;
  const write = () => {
    if (frames === 0) return;
    frames = 0;
    socket.cork();
    output.call(connection);
    socket.uncork();
  };
  connection.output = () => {
    frames += 1;
    if (frames === 1) process.nextTick(write);
    else if (frames >= TOGETHER) write();
  };
}

module.exports = { waiting, answered, refused, address, together };
