// Validates manifests by the published models of Kubernetes and KEDA: their schemas say what a value may be, and their types which
// keys there are, since the schemas let unknown ones pass, as a cluster drops them without a word.
// Standard input: a list of texts, each a stream of YAML documents. Standard output: for each of them its documents, with what is wrong.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

import { ScaledJob } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledJob';
import { TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

const KEDA = '@kubernetes-models/keda/keda.sh/v1alpha1';
const models = [
  { Model: ScaledJob, type: 'IScaledJob', from: `${KEDA}/ScaledJob` },
  { Model: TriggerAuthentication, type: 'ITriggerAuthentication', from: `${KEDA}/TriggerAuthentication` },
  { Model: ServiceAccount, type: 'IServiceAccount', from: 'kubernetes-models/v1/ServiceAccount' },
];

function looked(document) {
  if (document.errors.length > 0) {
    return { manifest: null, wrong: document.errors.map(String) };
  }
  const manifest = document.toJS();
  const found = models.find(({ Model }) => Model.is(manifest));
  if (found === undefined) {
    return { manifest, wrong: [`${manifest.apiVersion} ${manifest.kind} has no schema here`] };
  }
  try {
    new found.Model(manifest).validate();
    return { manifest, wrong: [], found };
  } catch (error) {
    return { manifest, wrong: [error.message] };
  }
}

const texts = JSON.parse(fs.readFileSync(0, 'utf8')).map((text) => parseAllDocuments(text).map(looked));

// Each manifest as a value of its type, in one program: the compiler names a key that the type does not have.
const typed = texts.flat().filter(({ found }) => found !== undefined);
const lines = typed.map(
  ({ manifest, found }, at) =>
    `import type { ${found.type} as T${at} } from '${found.from}'; export const m${at}: T${at} = ${JSON.stringify(manifest)};`,
);
const file = fileURLToPath(new URL('manifests.ts', import.meta.url));
const options = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noEmit: true, strict: true, skipLibCheck: true, types: [] };
const host = ts.createCompilerHost(options);
const read = host.getSourceFile.bind(host);
host.getSourceFile = (name, ...rest) => (name === file ? ts.createSourceFile(name, lines.join('\n'), ts.ScriptTarget.ESNext) : read(name, ...rest));
const there = host.fileExists.bind(host);
host.fileExists = (name) => name === file || there(name);
for (const { start, messageText, file: where } of ts.getPreEmitDiagnostics(ts.createProgram([file], options, host))) {
  const message = ts.flattenDiagnosticMessageText(messageText, ' ');
  if (where === undefined || where.fileName !== file) {
    throw new Error(message);
  }
  typed[where.getLineAndCharacterOfPosition(start).line].wrong.push(message);
}
process.stdout.write(JSON.stringify(texts.map((documents) => documents.map(({ manifest, wrong }) => ({ manifest, wrong })))));
