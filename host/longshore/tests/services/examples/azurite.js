// Azurite's services, all of them, which end when their standard input does: they do not outlive the test that started them.
process.stdin.on('end', () => process.exit(0)).resume();
require('../storage/node/node_modules/azurite/dist/src/azurite.js');
