"""A preprocessor of mdBook: what links to the repository outside of the book leads there, or is no link.

In the repository `../infra/main.bicep` is a link to a file. In a book of its own it would lead nowhere.
"""

import json
import os
import re
import sys
from pathlib import Path

from pages import DOCS, LINK, ROOT


def repository() -> str | None:
    """The address of the repository, if Cargo.toml names one."""
    found = re.search(r'^repository *= *"(.+?)/?"', (ROOT / "Cargo.toml").read_text(), re.M)
    return found and found[1]


def rewritten(text: str, page: Path, address: str | None) -> str:
    """The page with each link that leaves the book turned into one to the repository, or into its text."""

    def link(found: re.Match) -> str:
        target, _, anchor = found["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        file = Path(os.path.normpath(page.parent / target))
        if file.is_relative_to(DOCS):
            return found[0]
        if address is None:
            return found["text"]
        return f"[{found['text']}]({address}/blob/main/{file.relative_to(ROOT)}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def walk(items: list, address: str | None) -> None:
    for it in items:
        chapter = it.get("Chapter") if isinstance(it, dict) else None
        if chapter:
            if chapter.get("path"):
                chapter["content"] = rewritten(chapter["content"], DOCS / chapter["path"], address)
            walk(chapter.get("sub_items", []), address)


def main() -> None:
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    walk(book.get("items") or book.get("sections"), repository())
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
