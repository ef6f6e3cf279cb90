// Keeps the page as it is now: parts that changed come as events, and answers to buttons come into
// a dialog. Without this script every link and every button works as well, page by page.
"use strict";

// All markup comes from the server, which escapes whatever it shows.
const policy = window.trustedTypes
  ? trustedTypes.createPolicy("longshore", { createHTML: (html) => html })
  : { createHTML: (html) => html };

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return template.content;
}

// --- What changes -------------------------------------------------------------------------------

// Makes `old` look like `fresh`, and touches what is the same not at all: the focus, an open
// `details` and a scrolled table stay as they are.
function morph(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    const isOwn = name === "open" && old.tagName === "DETAILS";
    if (!fresh.hasAttribute(name) && !isOwn) old.removeAttribute(name);
  }
  const wanted = [...fresh.childNodes];
  for (let place = 0; place < wanted.length; place++) {
    const next = wanted[place];
    let there = old.childNodes[place];
    // What has an id is looked for, so that a new row moves the others and replaces none.
    if (next.id && there?.id !== next.id) {
      const same = [...old.children].find((it) => it.id === next.id);
      if (same) {
        old.insertBefore(same, there ?? null);
        there = same;
      } else {
        old.insertBefore(next, there ?? null);
        continue;
      }
    }
    if (!there) old.append(next);
    else if (!isSameKind(there, next)) there.replaceWith(next);
    else if (next.nodeType === Node.TEXT_NODE) {
      if (there.data !== next.data) there.data = next.data;
    } else if (next.nodeType === Node.ELEMENT_NODE) morph(there, next);
  }
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function isSameKind(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName;
}

const state = document.getElementById("live-state");
const pause = document.getElementById("pause");
const address = document.body.dataset.live;
let events = null;
let isPaused = false;

function say(words, name) {
  if (state.textContent === words) return;
  state.textContent = words;
  state.dataset.state = name;
}

const gone = document.getElementById("gone");
let seenAt = new Date();

// Says that nobody answers, or that another run does; nothing once this one answers again.
function sayGone(why) {
  gone.hidden = why === "";
  for (const name of ["ended", "restarted"]) document.getElementById(`gone-${name}`).hidden = name !== why;
  if (why === "ended") document.getElementById("gone-at").textContent = seenAt.toISOString().slice(11, 19);
}

function hears() {
  seenAt = new Date();
  say("live", "live");
  sayGone("");
}

function listen() {
  events = new EventSource(address);
  events.addEventListener("open", hears);
  events.addEventListener("parts", (event) => {
    hears();
    for (const { id, html } of JSON.parse(event.data)) {
      const old = document.getElementById(id);
      const fresh = parsed(html).firstElementChild;
      if (old && fresh) morph(old, fresh);
    }
  });
  events.addEventListener("error", () => {
    if (isPaused) return;
    // The browser's own attempts say nothing of the cause.
    events.close();
    say("not connected", "away");
    findOut();
  });
}

// Why there are no events: another run, the end, or too many listeners.
async function findOut() {
  try {
    const { status } = await fetch("/alive", { cache: "no-store" });
    if ([401, 403, 421].includes(status)) {
      // What is of another run stays so.
      say("of an earlier run", "away");
      sayGone("restarted");
      return;
    }
    sayGone("");
  } catch {
    sayGone("ended");
  }
  setTimeout(() => {
    if (!isPaused && !document.hidden && events.readyState === EventSource.CLOSED) listen();
  }, 3000);
}

if (address) {
  say("live", "live");
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    if (isPaused) {
      events.close();
      say("paused", "paused");
    } else listen();
  });
  listen();
  // A tab that nobody looks at takes one of the few connections that a browser has for a host.
  document.addEventListener("visibilitychange", () => {
    if (isPaused) return;
    events.close();
    if (!document.hidden) listen();
  });
}

// --- Buttons ------------------------------------------------------------------------------------

const dialog = document.getElementById("answer");

function show(html) {
  dialog.replaceChildren(parsed(html));
  if (!dialog.open) dialog.showModal();
  // A dialog that was open keeps no focus when its content goes.
  dialog.querySelector("[autofocus]")?.focus();
}

const samples = document.getElementById("samples");
if (samples) samples.hidden = false;

async function submit(form, button) {
  const into = document.getElementById(form.dataset.into ?? "");
  button?.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body });
    const html = await answer.text();
    if (answer.status === 401) location.reload();
    else if (into && answer.ok) into.replaceChildren(parsed(html));
    else show(html);
  } catch {
    show(`<div class="answer"><h2>That did not work</h2><p class="note">longshore does not answer. If it has ended, start it again, and open the link that it prints.</p><div class="buttons"><a class="button" href="/" data-close autofocus>Close</a></div></div>`);
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  event.preventDefault();
  submit(event.target, event.submitter);
});

addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const sample = target?.closest("[data-sample]");
  if (sample) {
    const body = document.getElementById("send-body");
    body.value = sample.dataset.sample;
    body.focus();
  }
  if (target?.closest("dialog [data-close]") || target === dialog) {
    event.preventDefault();
    dialog.close();
  }
});
