import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { build } from '../bin/build.js';

const read = (path) => readFile(new URL(path, import.meta.url), 'utf8');

for (const [own, whole] of [
  ['handler/handler.wit', 'handler.wit'],
  ['config/store.wit', 'deps/config/store.wit'],
  ['logging/logging.wit', 'deps/logging/logging.wit'],
]) {
  test(`the contract in the package is that of the repository: ${own}`, async () => {
    assert.equal(await read(`../wit/${own}`), await read(`../../../wit/${whole}`), '`make wit` copies it');
  });
}

test('the licence in the package is that of the repository', async () => {
  assert.equal(await read('../LICENSE'), await read('../../../LICENSE'), '`make wit` copies it');
});

test('the types of the imports are those of the contract', async () => {
  const wit = (await Promise.all(['handler/handler', 'config/store', 'logging/logging'].map((it) => read(`../wit/${it}.wit`)))).join('\n');
  const types = await read('../imports.d.ts');
  const modules = [...types.matchAll(/declare module '(.*):(.*)\/(.*)@(.*)'/g)];
  assert.equal(modules.length, 4);
  for (const [, namespace, name, contract, version] of modules) {
    assert.ok(wit.includes(`package ${namespace}:${name}@${version};`) && wit.includes(`interface ${contract} {`), contract);
  }
  for (const [, camel] of types.matchAll(/export function (\w+)/g)) {
    const kebab = camel.replace(/[A-Z]/g, (it) => `-${it.toLowerCase()}`);
    assert.ok(wit.includes(`${kebab}: func(`), camel);
  }
});

test('the build never writes over its source', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'longshore-'));
  try {
    const source = join(folder, 'handler.mts');
    await writeFile(source, 'export default {};');
    await assert.rejects(build({ source, output: source }), /is the source/);
    assert.equal(await readFile(source, 'utf8'), 'export default {};');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a handler that imports a module of Node.js is told what it has instead', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'longshore-'));
  try {
    const source = join(folder, 'handler.mjs');
    for (const name of ['node:fs', 'net']) {
      await writeFile(source, `import it from '${name}';\nexport default it;\n`);
      await assert.rejects(build({ source, output: join(folder, 'handler.wasm') }), (error) => {
        assert.match(error.message, /handler\.mjs:1:15:[^]*A handler has no files and no sockets: take what runs in a browser/);
        return !error.message.includes('platform');
      });
    }
    await writeFile(source, `import it from 'nowhere';\nexport default it;\n`);
    await assert.rejects(build({ source, output: join(folder, 'handler.wasm') }), /Could not resolve "nowhere"/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
