"""The page that shows one thing in each language names what the packages have."""

import re
import unittest

from pages import DOCS, ROOT

PAGE = DOCS / "reference/languages.md"
SOURCES = {
    "Rust": [*ROOT.glob("guest/sdk/src/**/*.rs")],
    "Python": [*ROOT.glob("guest/python/longshore_guest/*.py"), ROOT / "guest/python/pyproject.toml"],
    "TypeScript, JavaScript": [*ROOT.glob("guest/js/src/**/*.ts"), ROOT / "guest/js/package.json"],
}
# What is no name of a package: a language's own words, names of the example, and what a file is called.
OF_THE_EXAMPLES = {"acme", "amount", "booking", "currency", "EUR", "handle", "invoice", "invoices", "ok", "order", "Order", "tenant", "url", "why"}
OF_THE_LANGUAGES = {"await", "cargo", "build", "release", "target", "wasm32", "wasip2", "npx", "py", "ts", "fetch", "ReadonlyMap", "unwrap_or_else", "wasm"}


def cells() -> list[tuple[str, str]]:
    """The language and the text of each cell."""
    found, heads = [], []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        row = [it.strip() for it in line.strip("|").split("|")]
        if not heads:
            heads = row
        elif not set(row[0]) <= set("-"):
            found += [(head, it) for head, it in zip(heads[1:], row[1:], strict=True)]
    return found


def missing(language: str, cell: str) -> list[str]:
    """The names in a cell that its package has nowhere."""
    text = "\n".join(it.read_text() for it in SOURCES[language])
    names = {it for code in re.findall(r"``(.+?)``|`([^`]+)`", cell) for it in re.findall(r"\b[A-Za-z_]\w+", "".join(code))}
    return sorted(it for it in names - OF_THE_EXAMPLES - OF_THE_LANGUAGES if not re.search(rf"\b{it}\b", text))


class Languages(unittest.TestCase):
    def test_each_name_of_a_language_is_one_of_its_package(self):
        found = cells()
        self.assertGreater(len(found), 100)
        self.assertEqual([(language, cell, it) for language, cell in found if (it := missing(language, cell))], [])

    def test_a_name_that_is_none_is_found(self):
        self.assertEqual(missing("Python", "`outbox.send_json_with(body)`"), ["send_json_with"])


if __name__ == "__main__":
    unittest.main()
