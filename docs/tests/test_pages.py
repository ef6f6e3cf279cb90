"""The pages hold together: links, anchors, the table of contents, and the words of the house."""

import os
import re
import unittest
from pathlib import Path

import outside
from pages import DOCS, IMAGE, LINK, ROOT, anchors, blocks, of_book, of_repository, prose, slug

# Generated pages have the words of their source.
GENERATED = {DOCS / "reference/cli.md"}
# A list of links, and pages that are older than the rule.
LONGER = {DOCS / it for it in ("SUMMARY.md", "deploy.md", "reference/configuration.md")}
# Outside of the book, these are older than the rule.
WIDER = {ROOT / "host/mutants.md", ROOT / "host/sandbox/tests/sandbox/contracts/README.md"}


def complaints(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere in the repository."""
    wrong = []
    for found in [*LINK.finditer(prose(text)), *IMAGE.finditer(prose(text))]:
        target, _, anchor = found["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = Path(os.path.normpath(page.parent / target)) if target else page
        if not file.exists():
            wrong.append(f"{page.relative_to(ROOT)}: there is no {target}")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            wrong.append(f"{page.relative_to(ROOT)}: {target or 'the page itself'} has no anchor {anchor}")
    return wrong


def sentences(text: str) -> list[str]:
    """The sentences of a page: neither tables nor headings; a list's element is at least one."""
    kept = [
        "" if re.match(r" *(\||#)", line) else re.sub(r"^ *([-*]|\d+\.) ", ".\n", line)
        for line in prose(text).splitlines()
    ]
    paragraphs = re.split(r"\n\s*\n|\.\n", "\n".join(kept))
    words = [re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", r"\1", " ".join(it.split())) for it in paragraphs]
    code = re.compile(r"`[^`]*`")
    return [it for paragraph in words for it in re.split(r"(?<=[.:?!;])\**\s+", code.sub("code", paragraph)) if it]


class Pages(unittest.TestCase):
    def test_every_link_and_anchor_is_there(self):
        wrong = [it for page in of_repository() for it in complaints(page, page.read_text())]
        self.assertEqual(wrong, [])

    def test_a_link_that_leads_nowhere_is_found(self):
        page = DOCS / "README.md"
        for planted in ("[x](start/nix.md)", "[x](start/install.md#nix)", "[x](#nix)", "![x](images/nix.svg)"):
            self.assertEqual(len(complaints(page, planted)), 1, planted)
        self.assertEqual(complaints(page, "[x](start/install.md#what-make-run-shows)"), [])

    def test_every_page_is_in_the_table_of_contents(self):
        named = {DOCS / it["target"] for it in LINK.finditer((DOCS / "SUMMARY.md").read_text())}
        there = {it for it in of_book() if it.is_relative_to(DOCS)} - {DOCS / "SUMMARY.md"}
        self.assertEqual(named, there)

    def test_the_readme_is_a_page(self):
        self.assertLessEqual(len((ROOT / "README.md").read_text().splitlines()), 150)

    def test_lines_have_at_most_100_columns(self):
        long = [
            f"{page.relative_to(ROOT)}:{number}"
            for page in of_repository()
            if page not in LONGER | WIDER | GENERATED
            for number, line in enumerate(prose(page.read_text()).splitlines(), 1)
            if len(line) > 100 and " " in line.strip() and not line.lstrip().startswith("|")
        ]
        self.assertEqual(long, [])

    def test_sentences_have_at_most_25_words(self):
        long = [
            f"{page.relative_to(ROOT)}: {it}"
            for page in of_book()
            if page not in LONGER | GENERATED
            for it in sentences(page.read_text())
            if len(it.split()) > 25
        ]
        self.assertEqual(long, [])

    def test_a_long_sentence_is_found(self):
        self.assertEqual([len(it.split()) for it in sentences("One two. " + "word " * 30 + "end.")], [2, 31])
        self.assertEqual([len(it.split()) for it in sentences("- " + "a " * 20 + "\n- " + "b " * 20)], [20, 20])

    def test_each_page_says_first_what_its_reader_can_do(self):
        for page in of_book():
            if page in LONGER | {ROOT / "README.md"}:
                continue
            first = next(it for it in page.read_text().split("\n\n")[1:] if it.strip())
            self.assertNotRegex(first, r"^(#|\||- |```|!\[)", page)

    def test_a_block_that_is_not_run_says_why(self):
        for page in of_book():
            for block in blocks(page):
                reason = block.directives.get("norun")
                self.assertTrue(reason is None or len(reason.split()) > 2, f"{page}:{block.line}")


class Book(unittest.TestCase):
    """What `make docs` has built, if it has."""

    BUILT = Path(os.environ.get("LONGSHORE_BOOK", ROOT / "target/book"))

    def test_every_link_in_the_built_book_leads_somewhere(self):
        if not (self.BUILT / "index.html").exists():
            self.fail("there is no book: `make docs` builds it")
        wrong = []
        names = {it: set(re.findall(r'\bid="([^"]+)"', it.read_text())) for it in self.BUILT.rglob("*.html")}
        for page in names:
            if page.name in ("print.html", "404.html", "toc.html"):
                continue
            main = page.read_text().partition("<main>")[2].partition("</main>")[0]
            for target in re.findall(r'(?:href|src)="([^"]+)"', main):
                path, _, anchor = target.partition("#")
                if "://" in target or target.startswith("mailto:"):
                    continue
                file = Path(os.path.normpath(page.parent / path)) if path else page
                if not file.exists() or (anchor and file in names and anchor not in names[file]):
                    wrong.append(f"{page.relative_to(self.BUILT)}: {target}")
        self.assertEqual(wrong, [])

    def test_a_link_out_of_the_book_leads_to_the_repository_or_is_text(self):
        page = DOCS / "deploy.md"
        link = "[a](../infra/main.bicep#x) [b](README.md) [c](https://example.com)"
        self.assertEqual(outside.rewritten(link, page, None), "a [b](README.md) [c](https://example.com)")
        to = outside.rewritten(link, page, "https://example.com/r")
        self.assertIn("[a](https://example.com/r/blob/main/infra/main.bicep#x)", to)

    def test_anchors_are_those_of_github(self):
        for heading, expected in [
            ("What `make run` shows", "what-make-run-shows"),
            ("Why it holds: *twice*", "why-it-holds-twice"),
            ("[A](b.md) and c", "a-and-c"),
        ]:
            self.assertEqual(slug(heading), expected)


if __name__ == "__main__":
    unittest.main()
