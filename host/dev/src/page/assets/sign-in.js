// Exchanges the token of the printed link for a cookie. The token stands behind `#`, which no
// server and no other page gets to see.
"use strict";

const words = document.getElementById("sign-in-words");

async function signIn(token) {
  // Nothing of the link stays in the address, nor in the history.
  history.replaceState(null, "", "/");
  const answer = await fetch("/session", { method: "POST", body: new URLSearchParams({ t: token }) });
  if (answer.ok) {
    location.replace("/");
    return;
  }
  words.textContent = "This link was used, is too old, or is of another run. Open a new one from the terminal.";
}

function tokenOf() {
  return new URLSearchParams(location.hash.slice(1)).get("t");
}

function tryToken() {
  const token = tokenOf();
  if (token) {
    signIn(token).catch(() => {
      words.textContent = "longshore does not answer. If it has ended, start it again, and open the link that it prints.";
    });
  }
}

tryToken();
// A new link in a tab that is open changes the part behind `#` only.
addEventListener("hashchange", tryToken);
