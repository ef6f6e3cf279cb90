// Reads the metrics of a service on the page of the Aspire dashboard, as a person does: the names
// of the instruments, and beside each what is expected to stand in its table and below it.
//
// node metrics.js PAGE SERVICE '{"INSTRUMENT": ["WORDS", ...], ...}': these are all instruments.
import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { browserFile } from "./browser.js";

const [, , origin, service, json] = process.argv;
const expected = JSON.parse(json);
// The dashboard is slow to show its first page on a busy machine.
const LIMIT = 60_000;

const browser = await chromium.launch({ executablePath: browserFile(), args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  page.setDefaultTimeout(LIMIT);
  const metrics = `${origin}/metrics/resource/${service}`;
  await page.goto(metrics);
  const leaves = page.locator("fluent-tree-item fluent-tree-item");
  for (const instrument of Object.keys(expected)) await leaves.getByText(instrument, { exact: true }).waitFor();
  const found = (await leaves.allTextContents()).map((text) => text.trim());
  assert.deepEqual(found.sort(), Object.keys(expected).sort());
  for (const [instrument, words] of Object.entries(expected)) {
    await page.locator(`fluent-tree-item[title="${instrument}"]`).click();
    await page.getByRole("heading", { name: instrument, exact: true }).waitFor();
    await page.getByRole("tab", { name: "Table", exact: true }).click();
    const shown = page.locator("main main");
    for (const text of words) {
      const first = shown.getByText(text, { exact: true }).first();
      await first.waitFor().catch(async () => {
        assert.fail(`${instrument} shows no ${text}: ${await shown.innerText()}`);
      });
    }
  }
} finally {
  await browser.close();
}
