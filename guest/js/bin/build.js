#!/usr/bin/env node
// Makes a component of a handler in TypeScript or JavaScript, and of what it imports: longshore-build handler.ts -o handler.wasm

import { cp, mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire, isBuiltin, SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { componentize } from '@bytecodealliance/componentize-js';
import { build as bundle, formatMessages } from 'esbuild';

const USAGE = `Makes a component of a handler: the module's default export, or an object that it exports as \`handler\`.

Usage: longshore-build handler.ts [-o handler.wasm]`;

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

/** How a handler is bundled. Of this package, what reaches the host is taken, and not what stands for it in tests. */
const bundling = (source) => ({
  absWorkingDir: dirname(source),
  bundle: true,
  write: false,
  metafile: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  conditions: ['longshore', 'module'],
  external: ['wasi:*', 'longshore:*'],
  alias: xmlWithoutDocument(source),
  banner: { js: WHILE_IT_IS_BUILT.banner },
  footer: { js: WHILE_IT_IS_BUILT.footer },
  logLevel: 'silent',
});

/** What esbuild says of a module of Node.js, to set the platform to node, would make a component that fails. */
const NO_NODE = [{ text: 'A handler has no files and no sockets: take what runs in a browser, such as `fetch` and `crypto`.' }];

/** Bundles. Throws an error whose message is what esbuild has to say, each error with its line. */
async function bundleOrExplain(options) {
  try {
    return await bundle(options);
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    const errors = error.errors.map((it) => {
      const [, name] = /^Could not resolve "(.*)"$/.exec(it.text) ?? [];
      return name !== undefined && isBuiltin(name) ? { ...it, notes: NO_NODE } : it;
    });
    throw new Error((await formatMessages(errors, { kind: 'error' })).join('').trim());
  }
}

/** The module that the component is made of: it exports the source's handler. */
async function entry(source) {
  const [from, name] = [JSON.stringify(source), await exportOf(source)];
  if (name === 'default') return `export { default as handler } from ${from};`;
  // A handler without this package says nothing of its errors by itself.
  const telling = JSON.stringify(join(OWN_SOURCES, 'uncaught.js'));
  return `import { handler as bare } from ${from}; import { telling } from ${telling}; export const handler = telling(bare);`;
}

async function exportOf(source) {
  const { metafile } = await bundleOrExplain({ ...bundling(source), entryPoints: [source] });
  const [{ exports }] = Object.values(metafile.outputs);
  if (exports.includes('default')) return 'default';
  if (exports.includes('handler')) return 'handler';
  throw new Error(`${source} exports no handler: write \`export default handler(…)\``);
}

/**
 * Where each line of the bundle comes from, as runs of lines that lie behind each other in one source as well. `words` in
 * src/failure.ts reads it, and only when something has gone wrong. Of a package it has the name alone: its lines would be
 * megabytes in the component.
 */
export function linesOf(text, map, folder) {
  const entries = new SourceMap(JSON.parse(map));
  const sources = [];
  const runs = [];
  text.split('\n').forEach((line, number) => {
    const entry = entries.findEntry(number, line.search(/\S|$/));
    const isMapped = entry.originalSource !== undefined && entry.generatedLine === number;
    // A line without a mapping is a part of what began above it.
    if (!isMapped && runs.length > 0) return;
    const [name, original] = isMapped ? originOf(entry, folder) : ['', 0];
    let place = sources.indexOf(name);
    if (place < 0) place = sources.push(name) - 1;
    const last = runs.at(-1);
    const continues = original === 0 ? last?.[2] === 0 : last?.[2] > 0 && last[2] - last[0] === original - (number + 1);
    if (last?.[1] !== place || !continues) runs.push([number + 1, place, original]);
  });
  // As a text it is no object of the engine until it is read.
  return JSON.stringify(JSON.stringify({ sources, runs }));
}

/** Where the sources of this package lie, also when it is none of `node_modules`. */
const OWN_SOURCES = fileURLToPath(new URL('../dist/', import.meta.url));

/** The source of a line and its line there, or the package and 0. */
function originOf(entry, folder) {
  const file = resolve(folder, entry.originalSource);
  if (file.startsWith(OWN_SOURCES)) return ['node_modules/longshore-guest', 0];
  const name = relative(folder, file);
  const found = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(name);
  return found === null ? [name, entry.originalLine + 1] : [`node_modules/${found[1]}`, 0];
}

const world = (imports) => `package longshore:built;

world built {
${[...imports.map((it) => `import ${it};`), 'export longshore:handler/handler@0.1.0;'].map((it) => `    ${it}\n`).join('')}}
`;

/**
 * Bundles and componentizes. `fetch` is `wasi:http`, `console` is standard output, and both are logged and checked by the host.
 * The tool keeps every import of a world, used or not, and each has to be granted: so the world has what the bundle imports.
 */
export async function build({ source, output }) {
  source = await realpath(source);
  if (resolve(output) === source) throw new Error(`${output} is the source: name another output with -o`);
  const [text, map, imports] = await bundled(source);
  const folder = await mkdtemp(join(tmpdir(), 'longshore-'));
  try {
    const [sourcePath, witPath] = [join(folder, 'handler.js'), join(folder, 'wit')];
    await cp(fileURLToPath(new URL('../wit', import.meta.url)), join(witPath, 'deps'), { recursive: true });
    await writeFile(join(witPath, 'world.wit'), world(imports));
    await writeFile(sourcePath, `${text}\nglobalThis.longshoreLines = ${linesOf(text, map, dirname(source))};\n`);
    // A component that never calls `fetch` imports no HTTP.
    const disableFeatures = /\bfetch\b/.test(text) ? ['fetch-event'] : ['fetch-event', 'http'];
    const { component } = await componentize({ sourcePath, witPath, worldName: 'built', disableFeatures });
    await mkdir(dirname(resolve(output)), { recursive: true });
    // Whoever watches the file sees a whole one.
    await writeFile(`${output}.part`, component);
    await rename(`${output}.part`, output);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The bundle, its source map, and what it imports of the host. */
async function bundled(source) {
  const { outputFiles, metafile, warnings } = await bundleOrExplain({
    ...bundling(source),
    stdin: { contents: await entry(source), resolveDir: dirname(source) },
    outfile: 'handler.js',
    sourcemap: 'external',
    sourcesContent: false,
  });
  for (const it of await formatMessages(warnings, { kind: 'warning' })) console.error(it.trim());
  const find = (end) => outputFiles.find((it) => it.path.endsWith(end)).text;
  const [, output] = Object.entries(metafile.outputs).find(([path]) => path.endsWith('.js'));
  return [find('.js'), find('.map'), [...new Set(output.imports.filter((it) => it.external).map((it) => it.path))].sort()];
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  });
  if (values.help) return console.log(USAGE);
  if (values.version) return console.log(JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')).version);
  const [source, ...others] = positionals;
  if (source === undefined || others.length > 0) throw new Error(`name one source.\n\n${USAGE}`);
  await build({ source, output: values.output ?? `${source.replace(/\.[cm]?[jt]sx?$/, '')}.wasm` });
}

if (import.meta.url === pathToFileURL(await realpath(process.argv[1])).href) {
  try {
    await main();
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  }
}
