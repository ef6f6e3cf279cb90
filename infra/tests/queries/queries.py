"""The queries that people get: those of the workbook, of the alerts and of the documentation."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

# The columns are those of Microsoft's reference of the two tables (azure-monitor-docs, reference/tables).
TABLES = json.loads((HERE / "tables.json").read_text())
MENTION = re.compile("|".join(TABLES))
# Text in Bicep between one quote and the next, or between three and the next three.
# A variable of Bicep that is a text in one line.
BICEP_VARIABLE = re.compile(r"^var (\w+) = '((?:[^'\\\n]|\\.)*)'$", re.M)
BICEP_TEXT = re.compile(r"'''(.*?)'''|'((?:[^'\\\n]|\\.)*)'", re.S)
FENCE = re.compile(r"^ *```(?:kusto|kql)\n(.*?)^ *```", re.S | re.M)


class Query(NamedTuple):
    """A query, and the file that it stands in."""

    file: str
    text: str


def of_json(tree: object) -> list[str]:
    """Each value of a key `query`, however deep."""
    if isinstance(tree, list):
        return [it for branch in tree for it in of_json(branch)]
    if isinstance(tree, dict):
        found = [it for key, branch in tree.items() for it in ([branch] if key == "query" else of_json(branch))]
        # An expression of a compiled template is a query where it was written.
        return [it for it in found if not it.startswith("[")]
    return []


def of_bicep(text: str) -> list[str]:
    """Each text that names a table, itself or by another text, and goes on with a pipe.

    What a deployment puts between quotes becomes a word, and a number where there are none.
    """
    named = dict(BICEP_VARIABLE.findall(text))
    texts = [with_texts(whole or line, named) for whole, line in BICEP_TEXT.findall(text)]
    queries = [it.replace("\\'", "'") for it in texts if MENTION.search(it) and "|" in it]
    return [re.sub(r"\$\{[^}]*\}", "x", re.sub(r"(?<![\"'])\$\{[^}]*\}", "1", it)) for it in queries]


def with_texts(text: str, named: dict[str, str]) -> str:
    """A text with the others that it names in their places."""
    while (found := re.search(r"\$\{(\w+)\}", text)) and found[1] in named:
        text = text.replace(found[0], named[found[1]])
    return text


def of_markdown(text: str) -> list[str]:
    """Each block of code that says it is a query."""
    return FENCE.findall(text)


def of_tree(root: Path) -> list[Query]:
    """Every query in the files that are, or are to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "infra/*.json", "infra/*.bicep", "*.md"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    found = []
    for name in listed:
        file = root / name
        if file.suffix == ".json" and not MENTION.search(file.read_text()):
            continue
        readers = {".json": lambda it: of_json(json.loads(it)), ".bicep": of_bicep, ".md": of_markdown}
        found += [Query(name, it) for it in readers[file.suffix](file.read_text())]
    return found


def findings(queries: list[str]) -> list[list[str]]:
    """What Microsoft's parser says about each."""
    asked = json.dumps({"tables": TABLES, "queries": queries})
    ran = subprocess.run(["node", HERE / "parse.js"], input=asked, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def fields(query: str) -> set[str]:
    """The fields of our own log lines that a query reads: what it takes from what it parsed."""
    return {
        field
        for line in re.findall(r"(\w+) *= *parse_json\(Log\)", query)
        for field in re.findall(rf"\b{line}\.(\w+)", query)
    }


def outcomes(query: str) -> set[str]:
    """The outcomes that a query compares with."""
    compared = re.findall(r"tostring\(\w+\.outcome\) *(?:==|in) *(\([^)]*\)|'[^']*')", query)
    return {word for it in compared for word in re.findall(r"'([^']*)'", it)}
