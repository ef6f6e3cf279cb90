// Makes the component: node build.js SOURCE RESULT

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, result] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath,
  witPath: fileURLToPath(new URL('../wit', import.meta.url)),
  worldName: 'order',
  // Without these the component imports no HTTP, and prints nowhere: it logs through wasi:logging.
  disableFeatures: ['http', 'fetch-event', 'stdio'],
});
await mkdir(dirname(result), { recursive: true });
await writeFile(result, component);
