// Azurite's services for blobs, queues and tables, which end when their standard input does: they do not outlive the test that started them.
process.stdin.on('end', () => process.exit(0)).resume();
require('azurite/dist/src/azurite.js');
