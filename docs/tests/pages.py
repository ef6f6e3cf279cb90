"""The pages of the book and of the repository: their text, links, anchors, and blocks of commands."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.S | re.M)
LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<target>[^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
ANCHOR = re.compile(r'<a id="([^"]+)">')
# What says something about the block that follows.
DIRECTIVE = re.compile(r"<!-- (?P<name>norun|exit|output|runs-in|from)(?:: (?P<value>.+?))? -->\s*\Z")


class Block(NamedTuple):
    """A block of code with the directives that stand before it."""

    page: Path
    line: int
    kind: str
    text: str
    directives: dict[str, str]


def of_repository() -> list[Path]:
    """Every page that is, or is to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return sorted({ROOT / it for it in listed if (ROOT / it).exists()})


def of_book() -> list[Path]:
    """The pages below docs/, and the README, which is their door."""
    return [it for it in of_repository() if it.is_relative_to(DOCS) or it == ROOT / "README.md"]


def prose(text: str) -> str:
    """A page without its blocks of code and comments; the lines keep their places."""
    blank = lambda found: "\n" * found[0].count("\n")  # noqa: E731
    return re.sub(r"<!--.*?-->", blank, FENCE.sub(blank, text), flags=re.S)


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for it in FENCE.finditer(text):
        before, directives = text[: it.start()], {}
        while directive := DIRECTIVE.search(before):
            directives[directive["name"]] = directive["value"] or ""
            before = before[: directive.start()]
        line = text.count("\n", 0, it.start()) + 1
        found.append(Block(page, line, it["kind"].strip(), it["text"], directives))
    return found


def slug(heading: str) -> str:
    """The anchor that a heading gets, on GitHub and in mdBook alike."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = page.read_text()
    found: set[str] = set()
    for heading in HEADING.findall(prose(text)):
        name, number = slug(heading), 0
        while (name if number == 0 else f"{name}-{number}") in found:
            number += 1
        found.add(name if number == 0 else f"{name}-{number}")
    return found | set(ANCHOR.findall(text))
