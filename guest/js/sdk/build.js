// Makes a component of a module in TypeScript or JavaScript and of what it imports: node build.js SOURCE RESULT WIT-FOLDER WORLD

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { componentize } from '@bytecodealliance/componentize-js';
import { build as bundle } from 'esbuild';

/**
 * Microsoft's SDKs have two builds: one for Node.js, which opens sockets, and one for browsers, which calls `fetch`. The
 * latter works in a component, but for its XML: that of browsers asks for `document`.
 */
function xmlWithoutDocument(source) {
  try {
    return { '@azure/core-xml': createRequire(pathToFileURL(resolve(source))).resolve('@azure/core-xml') };
  } catch {
    // A handler without these SDKs.
    return {};
  }
}

/**
 * Some modules draw a UUID when they are loaded, and that is while the component is built, where nothing random is to be had. What
 * they get is always the same. What is drawn later is drawn by the host.
 */
const WHILE_IT_IS_BUILT = {
  banner: `const drawUuid = crypto.randomUUID.bind(crypto);
    let isBuilding = true;
    crypto.randomUUID = () => (isBuilding ? '00000000-0000-4000-8000-000000000000' : drawUuid());`,
  footer: 'isBuilding = false;',
};

/** Bundles and componentizes. `fetch` is `wasi:http`, `console` is standard output, and both are logged and checked by the host. */
export async function build({ source, result, wit, world }) {
  const folder = await mkdtemp(join(tmpdir(), 'longshore-'));
  try {
    const sourcePath = join(folder, 'handler.js');
    await bundle({
      entryPoints: [source],
      outfile: sourcePath,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      external: ['wasi:*', 'longshore:*'],
      alias: xmlWithoutDocument(source),
      banner: { js: WHILE_IT_IS_BUILT.banner },
      footer: { js: WHILE_IT_IS_BUILT.footer },
      logLevel: 'warning',
    });
    const { component } = await componentize({ sourcePath, witPath: resolve(wit), worldName: world, disableFeatures: ['fetch-event'] });
    await mkdir(dirname(result), { recursive: true });
    await writeFile(result, component);
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [source, result, wit, world] = process.argv.slice(2);
  await build({ source, result, wit, world });
}
