"""Each block of commands on a page runs as printed, in the order of the page, in a folder of its own.

Directives stand in a comment before a block:
- `norun: WHY` keeps it from being run;
- `exit: N` says with which code its last command ends, if not 0;
- `runs-in: clone` says that the page is about a clone: its folders of sources are there. `with TARGET`
  adds a target of make that has to have run;
- `from: FILE` says that the block shows a part of a file of the repository;
- `output` says that the block shows what the block before it prints: these lines, in this order. Numbers
  may differ, and `…` stands for anything.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from pages import DOCS, ROOT, Block, blocks, of_book
from program import BINARY, ORDER, environment

# Pages whose commands need an account on Azure, and that have another owner. `make test-az` reads them.
NEED_AZURE = {DOCS / "deploy.md", DOCS / "what-a-handler-can-reach.md"}
END = "@@ end of block"
# What the targets of make leave for a page that needs them.
MADE = {
    "guest-js": ROOT / "guest/js/dist/.built",
}
SOURCES = ("guest", "wit", "examples")
# What is built or installed there, and is large: a link to it will do.
LARGE = ("target", "node_modules", ".venv")
# Where the pages about a clone run: the same folder each time, so that crates are compiled once.
KEPT = Path(os.environ.get("LONGSHORE_BOOK", ROOT / "target/book")).parent / "tutorials"
# What cargo leaves there on its way. A project keeps its component alone.
CARGO = KEPT / ".cargo-build"


def runnable(page: Path) -> list[Block]:
    return [it for it in blocks(page) if it.kind == "sh" and "norun" not in it.directives]


def script(commands: list[Block]) -> str:
    """One script for a page, so that a block finds what the blocks before it have set."""
    lines = ["set -u"]
    for number, block in enumerate(commands):
        code = block.directives.get("exit", "0")
        # With another code than 0 only the last command of the block is looked at.
        lines += ["set -e" if code == "0" else "set +e", block.text, "code=$?", "set -e"]
        lines += [f"echo '{END}' {number} $code", f"[ $code = {code} ]"]
    return "\n".join(lines)


def shape(line: str) -> str:
    """A pattern for a line that a page shows: numbers and the width of gaps may differ."""
    words = re.escape(" ".join(line.split()))
    words = re.sub(r"\d[\d,.]*", r"\\d[\\d,.]*", words.replace("\\.", "."))
    return words.replace("\\ ", r"\s+").replace("…", ".*")


def missing(shown: str, printed: str) -> str | None:
    """The first line that is shown and was not printed behind the lines before it."""
    rest = printed
    for line in filter(str.strip, shown.splitlines()):
        found = re.search(shape(line), rest)
        if not found:
            return line
        rest = rest[found.end() :]
    return None


def emptied(folder: Path) -> Path:
    """A folder without what an earlier run has left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def prepare(folder: Path, where: set[str]) -> None:
    shutil.copy(ORDER, folder / "order.wasm")
    built = folder / "guest/target/wasm32-wasip2/release"
    if where:
        for it in SOURCES:
            # A script of Node.js that is reached by a link does not know that it is the program.
            shutil.copytree(ROOT / it, folder / it, symlinks=True, ignore=shutil.ignore_patterns(*LARGE))
        if (ROOT / "guest/js/node_modules").exists():
            (folder / "guest/js/node_modules").symlink_to(ROOT / "guest/js/node_modules")
    built.mkdir(parents=True)
    shutil.copy(ORDER, built / "order.wasm")


def run(page: Path) -> str | None:
    """Runs a page, and says what went wrong."""
    commands, name = runnable(page), page.relative_to(ROOT)
    where = {it.directives["runs-in"] for it in commands if "runs-in" in it.directives}
    for needed in (it.partition(" with ")[2] for it in where):
        if needed and not MADE[needed].exists():
            return f"{name}: `make {needed}` has to run first"
    with contextlib.ExitStack() as stack:
        folder = emptied(KEPT / page.stem) if where else stack.enter_context(tempfile.TemporaryDirectory())
        prepare(Path(folder), where)
        path = f"{folder}/.bin{os.pathsep}{os.environ['PATH']}"
        (Path(folder) / ".bin").mkdir()
        (Path(folder) / ".bin/longshore").symlink_to(BINARY)
        ran = subprocess.run(
            ["bash", "-c", script(commands)], cwd=folder,
            env=environment(PATH=path, CARGO_TERM_COLOR="never", CARGO_BUILD_BUILD_DIR=str(CARGO)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200,
        )  # fmt: skip
    printed = re.split(rf"^{END} \d+ \d+\n", ran.stdout, flags=re.M)
    if ran.returncode or len(printed) != len(commands) + 1:
        failed = commands[min(len(printed) - 1, len(commands) - 1) if ran.returncode else -1]
        return f"{name}: near line {failed.line} ({ran.returncode}):\n{failed.text}\n{ran.stdout[-2000:]}"
    by_line = {block.line: text for block, text in zip(commands, printed)}
    for block in blocks(page):
        if "output" in block.directives:
            before = max(line for line in by_line if line < block.line)
            if line := missing(block.text, by_line[before]):
                return f"{name}:{block.line}: not printed: {line}\n{by_line[before]}"
    return None


class Commands(unittest.TestCase):
    def test_each_page_runs_as_printed(self):
        pages = [it for it in of_book() if it not in NEED_AZURE and runnable(it)]
        self.assertGreater(len(pages), 8)
        for page in pages:
            with self.subTest(page=str(page.relative_to(ROOT))):
                self.assertIsNone(run(page))

    def test_a_block_that_shows_a_file_is_a_part_of_it(self):
        shown = [it for page in of_book() for it in blocks(page) if "from" in it.directives]
        self.assertGreater(len(shown), 2)
        for block in shown:
            file = ROOT / block.directives["from"]
            self.assertIn(block.text, file.read_text(), f"{block.page}:{block.line} is not in {file}")

    def planted(self, text: str) -> str | None:
        with tempfile.TemporaryDirectory(dir=ROOT / "docs") as folder:
            page = Path(folder) / "page.md"
            page.write_text(text)
            return run(page)

    def test_mistakes_are_found(self):
        self.assertIsNone(self.planted("```sh\nx=1\n```\n```sh\necho got $x\n```\n<!-- output -->\n```text\ngot 7\n```\n"))
        self.assertIn("not printed: got y", self.planted("```sh\necho got x\n```\n<!-- output -->\n```text\ngot y\n```\n") or "")
        self.assertIn("near line 4", self.planted("```sh\ntrue\n```\n```sh\nfalse\ntrue\n```\n") or "")
        self.assertIn("near line", self.planted("<!-- exit: 1 -->\n```sh\ntrue\n```\n") or "")
        self.assertIn("near line", self.planted("```sh\nlongshore nix\n```\n") or "")
        self.assertIsNone(self.planted("<!-- norun: it would fail at once -->\n```sh\nfalse\n```\n"))


if __name__ == "__main__":
    unittest.main()
