"""Writes docs/reference/cli.md from the program's own help: `make docs-generated`."""

import re
import sys

from pages import DOCS
from program import said, verbs

PAGE = DOCS / "reference/cli.md"
HEAD = """# Verbs and flags
<!-- Made by `make docs-generated` from the program's own help. A test compares both. -->

This page lists every verb with its flags, as `longshore VERB --help` prints them.
`-h` prints what is used most, on one screen. `longshore man DIR` writes man pages. Every verb
prints JSON for programs with `--output json`. Logs go to standard error, and message bodies are
never logged.

| verb | what it does |
|---|---|
"""


def page() -> str:
    text, rows = "", ""
    for path in verbs():
        name, said_here = " ".join(path), help_of(*path)
        rows += f"| [`{name}`](#{name.replace(' ', '-')}) | {summary(said_here)} |\n"
        text += f"\n## {name}\n```text\n{said_here}\n```\n"
    return HEAD + rows + text


def help_of(*path: str) -> str:
    """The help, but for spaces at the ends of lines, and for the values of variables of whoever asks."""
    lines = re.sub(r"\[env: (\w+)=[^\]]*\]", r"[env: \1]", said(*path, "--help")).strip().splitlines()
    return "\n".join(it.rstrip() for it in lines)


def summary(text: str) -> str:
    """The first paragraph, as one line of a table."""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.read_text() == page() else "docs/reference/cli.md is old: make docs-generated")
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
