import fs from "node:fs";

// A browser of the system: Debian's package `chromium` is one.
export function browserFile() {
  const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(fs.existsSync);
  if (!found) throw new Error("there is no Chromium; install Debian's package chromium");
  return found;
}
