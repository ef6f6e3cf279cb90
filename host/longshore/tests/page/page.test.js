// The page of `longshore dev` in a real browser: what a person does with it, from the first message
// to an execution that is killed and comes back. Screenshots are written for the book.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { browserFile } from "./browser.js";

const BINARY = needed("LONGSHORE_BINARY", "make test-page");
const COMPONENT = needed("LONGSHORE_ORDER", "make test-page");
// Where the screenshots go; without it they go with the test.
const SCREENSHOTS = process.env.LONGSHORE_SCREENSHOTS;
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [400, 900, 1600];

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "longshore-page-"));
const screenshots = SCREENSHOTS ?? directory;
// A long name: buttons stay where they can be reached.
const queue = "file:queues/orders-of-western-europe";
let dev, browser, page;
const complaints = [];

function needed(name, step) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; \`${step}\` sets it`);
  return path.resolve(value);
}

before(async () => {
  fs.mkdirSync(path.join(directory, "samples"));
  const order = (id, msg) => JSON.stringify({ order_id: id, msg });
  fs.writeFileSync(path.join(directory, "samples/good.json"), order("o-1", "two books"));
  fs.writeFileSync(path.join(directory, "samples/rejected.json"), order("o-2", "reject"));
  fs.writeFileSync(path.join(directory, "samples/retried.json"), order("o-3", "retry-until:2"));
  fs.writeFileSync(path.join(directory, "samples/slow.json"), order("o-4", "sleep:600000"));
  const flags = ["--poll=1s", "--start-delay=500ms", "--retry-base=50ms", "--retry-cap=300ms"];
  const more = ["--deadline=10m", "--visibility=20s", "--queue-length=40", "--cache-dir", path.join(directory, "cache")];
  dev = spawn(BINARY, ["dev", "--output=json", "--queue", queue, "--component", COMPONENT, ...flags, ...more], {
    cwd: directory,
    // Variables of this test are none of the program, which refuses names that it does not know.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LONGSHORE_"))),
    stdio: ["ignore", "pipe", "inherit"],
  });
  browser = await chromium.launch({ executablePath: browserFile(), args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  page.on("console", (message) => {
    // The browser itself says that of each answer with such a status.
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.setDefaultTimeout(30_000);
  await page.goto(await link());
  await page.waitForSelector("#figures");
});

after(async () => {
  await browser?.close();
  dev?.kill("SIGTERM");
  if (dev && dev.exitCode === null && dev.signalCode === null) await once(dev, "exit");
  fs.rmSync(directory, { recursive: true, force: true });
});

async function link() {
  let text = "";
  for await (const chunk of dev.stdout) {
    text += chunk;
    for (const line of text.split("\n").slice(0, -1)) {
      const event = JSON.parse(line);
      if (event.event === "page") {
        dev.stdout.resume();
        return event.link;
      }
    }
  }
  throw new Error(`no link in ${text}`);
}

async function send(sample, count) {
  await page.getByRole("button", { name: sample, exact: true }).click();
  await page.getByLabel("how often").fill(String(count));
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByRole("dialog").getByText("sent. KEDA counts it").waitFor();
  await page.getByRole("dialog").getByRole("link", { name: "Close" }).click();
}

async function close() {
  await page.getByRole("dialog").getByRole("link", { name: "Close" }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
}

// What a person sees who cannot see colours, or uses a screen reader, or a keyboard.
async function accessible(what) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.map((it) => `${it.impact} ${it.id}: ${it.nodes.map((node) => node.html).join(" | ").slice(0, 500)}`);
  });
  const grave = found.filter((it) => /^(serious|critical)/.test(it));
  assert.deepEqual(grave, [], `${what}: ${found.join("\n")}`);
}

async function photographed(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width === 400 ? 850 : 1000 });
      await page.waitForTimeout(200);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} at ${width} is ${overflow} pixels wider than the screen`);
      await accessible(`${name} at ${width}, ${colorScheme}`);
      await page.screenshot({ path: path.join(screenshots, `page-${name}-${width}-${colorScheme}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1600, height: 1000 });
}

test("the link is used up, and stands in no address", async () => {
  assert.equal(new URL(page.url()).hash, "");
  const stranger = await browser.newPage();
  await stranger.goto(page.url());
  await stranger.getByText("Open the link that the terminal shows").waitFor();
  await stranger.context().close();
});

test("messages are sent, and executions start and finish while one looks", async () => {
  await send("good", 90);
  await send("rejected", 3);
  await send("retried", 4);
  await page.locator("#executions .mark-running").first().waitFor();
  await page.locator("#executions .mark-succeeded").first().waitFor();
  await page.locator(".timeline .bar-succeeded").first().waitFor({ state: "attached" });
  await page.locator(".sum-words").filter({ hasText: "→" }).waitFor();
  await page.locator(".figure-completed .figure-value").filter({ hasText: "94" }).waitFor();
});

test("a failure is opened, with its attempts, its log and its body", async () => {
  await page.getByRole("link", { name: "Show 3 messages" }).click();
  await page.getByRole("table").getByRole("link").first().click();
  await page.getByText("It lies in the poison queue").waitFor();
  await page.locator("#attempts .mark-failed").first().waitFor();
  await page.locator(".log li").first().waitFor();
  assert.ok(!(await page.content()).includes("o-2"), "no body is shown before a click");
  await page.getByRole("button", { name: "Show the body" }).click();
  await page.locator("pre.body").filter({ hasText: '"o-2"' }).waitFor();
  await photographed("message");
});

test("it is redriven after a question, and fails once more", async () => {
  await page.getByRole("button", { name: "Redrive…" }).click();
  await page.getByRole("dialog").getByText("1 message would go back").waitFor();
  await page.getByRole("button", { name: "Redrive 1 message" }).click();
  await page.getByRole("dialog").getByText("1 message was sent back").waitFor();
  await accessible("the answer");
  await close();
  await page.waitForTimeout(1000);
  for (let tries = 0; ; tries++) {
    await page.reload();
    if ((await page.locator("#attempts .mark-failed").count()) > 1) break;
    assert.ok(tries < 60, "it was not handled anew");
    await page.waitForTimeout(500);
  }
  await page.goto(new URL("/", page.url()).href);
});

test("a question is answered with no, by the keyboard alone", async () => {
  await page.locator(".group").first().getByRole("button", { name: "Purge…" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("would be deleted").waitFor();
  // Enter, pressed too quickly, deletes nothing.
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Leave it");
  await accessible("the question");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.locator(".group").first().getByRole("button", { name: "Purge…" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("would be deleted").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.locator(".group").first().waitFor();
  await page.keyboard.press("Tab");
  await page.goto(page.url());
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
});

test("an execution is killed, and another one takes its messages", async () => {
  await send("slow", 1);
  const row = page.locator("#executions tbody tr").filter({ has: page.locator(".mark-running") });
  await row.first().waitFor();
  await page.waitForTimeout(1500);
  await photographed("now");
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const { x, width: wide } = await row.first().getByRole("button", { name: "Kill" }).boundingBox();
    assert.ok(x >= 0 && x + wide <= width, `Kill ends at ${x + wide} of ${width}`);
  }
  await page.setViewportSize({ width: 1600, height: 1000 });
  const name = (await row.first().getByRole("link").textContent()).trim();
  await row.first().getByRole("button", { name: "Kill" }).click();
  await page.getByRole("dialog").getByText("is killed").waitFor();
  await close();
  await page.locator(`#row-${name} .mark-failed`).waitFor();
  await page.locator(`#row-${name}`).getByText("signal 9").waitFor();
  await page.locator("#executions .mark-running").first().waitFor();
  await page.locator(`#row-${name}`).getByRole("link").click();
  await page.getByRole("heading", { name }).waitFor();
  await photographed("execution");
  await page.goto(new URL("/", page.url()).href);
});

test("the queue is taken away, and given back", async () => {
  await page.getByRole("button", { name: "Queue answers 503" }).click();
  await close();
  await page.locator("#note").getByText("503").waitFor();
  await page.locator("#trouble").getByText("The queue answers 503 for").waitFor();
  await page.getByRole("button", { name: "End the trouble" }).click();
  await close();
  await page.locator("#note .note").waitFor({ state: "detached" });
});

test("what changes leaves the focus and what is open alone, and can be paused", async () => {
  await page.getByText("What the job is told").click();
  await page.getByRole("button", { name: "Pause" }).focus();
  await page.waitForTimeout(2500);
  assert.ok(await page.locator("#about").evaluate((it) => it.open));
  assert.equal(await page.evaluate(() => document.activeElement.id), "pause");
  await page.keyboard.press("Enter");
  await page.locator("#live-state").getByText("paused").waitFor();
  await page.keyboard.press("Enter");
  await page.locator("#live-state").getByText("live").waitFor();
});

test("the list of executions leads back", async () => {
  await page.goto(new URL("/executions", page.url()).href);
  await page.getByRole("heading", { name: "Executions" }).waitFor();
  await photographed("executions");
  await page.getByRole("navigation").getByRole("link", { name: "Now" }).click();
  await page.locator("#figures").waitFor();
});

test("without JavaScript there is no button that does nothing", async () => {
  const storageState = await page.context().storageState();
  const context = await browser.newContext({ javaScriptEnabled: false, storageState });
  const plain = await context.newPage();
  await plain.goto(page.url());
  await plain.locator("#figures").waitFor();
  for (const name of ["Pause", "good"]) {
    assert.equal(await plain.getByRole("button", { name, exact: true }).count(), 0, name);
  }
  assert.ok(!(await plain.locator("#gone").isVisible()));
  await plain.getByLabel("Body").fill(JSON.stringify({ order_id: "o-9", msg: "two books" }));
  await plain.getByRole("button", { name: "Send", exact: true }).click();
  await plain.getByText("1 message was sent").waitFor();
  await plain.getByRole("link", { name: "Close" }).click();
  await plain.locator("#figures").waitFor();
  await context.close();
  const stranger = await browser.newContext({ javaScriptEnabled: false });
  const outside = await stranger.newPage();
  await outside.goto(page.url());
  await outside.getByLabel("Link").waitFor();
  await stranger.close();
});

test("nothing was said in the console", () => {
  assert.deepEqual(complaints, []);
});

// The browser complains of a server that is gone, and should.
test("a tab of a run that has ended says so, and what to do", async () => {
  dev.kill("SIGKILL");
  await once(dev, "exit");
  await page.getByRole("alert").getByText("has ended, or cannot be reached").waitFor();
  await page.locator("#live-state").getByText("not connected").waitFor();
  await photographed("gone");
});
