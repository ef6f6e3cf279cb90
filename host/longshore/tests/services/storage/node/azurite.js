// Azurite's queue service, which ends when its standard input does: it does not outlive the test that started it.
process.stdin.on('end', () => process.exit(0)).resume();
require('azurite/dist/src/queue/main.js');
