// A Service Bus namespace for tests, as far as its clients can tell: AMQP 1.0 in peek-lock with `$cbs` and `$management`,
// over TCP, TLS and WebSockets, and the HTTP interface to its queues, all on one port (two with TLS).
//
//   node main.js [--bug NAME] [--tls DIRECTORY] [--tls-at HOST:PORT] [--ahead MS] [--max-message BYTES] [--channel-max N]
//
// It prints `{"port": …, "tls": …}`, and ends when its standard input does: it does not outlive the test that started it.
// --bug plants a mistake, for the tests that show that the official clients would notice it: see `BUGS`.
// --tls takes `server.pem` and `server.key` from a directory; --tls-at says where TLS is spoken. Faults are ordered over HTTP: see `faults.js`.
// --ahead sets the namespace's clock ahead of the host's; --max-message is what its links take; --channel-max is the highest number of an AMQP session.
'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');
const tls = require('tls');
const { parseArgs } = require('util');

const { Namespace, BUGS } = require('./queue');
const { Amqp } = require('./amqp');
const { Faults } = require('./faults');
const { http } = require('./http');

const { values: options } = parseArgs({ options: { bug: { type: 'string' }, tls: { type: 'string' }, 'tls-at': { type: 'string', default: '127.0.0.1:0' }, ahead: { type: 'string' }, 'max-message': { type: 'string' }, 'channel-max': { type: 'string' } } });
if (options.bug && !BUGS.includes(options.bug)) throw new Error(`--bug is one of ${BUGS.join(', ')}`);

if (options.ahead) {
  const { now } = Date;
  Date.now = () => now() + Number(options.ahead);
}
const namespace = new Namespace(options.bug);
const faults = new Faults();
const number = (name) => options[name] && Number(options[name]);
const amqp = new Amqp(namespace, faults, number('max-message'), number('channel-max'));
const web = http(namespace, faults, amqp);

// What a client speaks shows in its first bytes.
function route(socket) {
  socket.on('error', () => {});
  socket.once('data', (first) => {
    socket.pause();
    socket.unshift(first);
    if (first.subarray(0, 4).toString('latin1') === 'AMQP') amqp.accept(socket);
    else web.emit('connection', socket);
    process.nextTick(() => socket.resume());
  });
}

function listen(server, at = '127.0.0.1:0') {
  const [host, port] = at.split(':');
  return new Promise((listening) => server.listen(Number(port), host, () => listening(server.address().port)));
}

async function main() {
  const ports = { port: await listen(net.createServer({ noDelay: true }, route)) };
  if (options.tls) {
    const [cert, key] = ['server.pem', 'server.key'].map((name) => fs.readFileSync(path.join(options.tls, name)));
    ports.tls = await listen(tls.createServer({ cert, key, noDelay: true }, route), options['tls-at']);
  }
  console.log(JSON.stringify(ports));
}

process.stdin.on('end', () => process.exit(0)).resume();
main();
