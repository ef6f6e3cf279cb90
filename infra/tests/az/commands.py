"""The `az` commands that people are shown: in the documentation, in hints of the binary, in outputs of the templates."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]

# A command begins a line, or follows what ends or opens another.
BEGINNING = re.compile(r"(?:^|[;&|(]|`)\s*az (?=[a-z])", re.M)
CODE = re.compile(r"^ *```.*?\n(.*?)^ *```|`([^`]+)`", re.S | re.M)
# Comments, and texts of Rust in both forms.
RUST = re.compile(r'//[^\n]*|r#"(.*?)"#|"((?:[^"\\]|\\.)*)"|\'(?:[^\'\\]|\\.)\'', re.S)
BICEP = re.compile(r"//[^\n]*|'''(.*?)'''|'((?:[^'\\\n]|\\.)*)'", re.S)
# What is filled in later, in both languages.
FILLED_IN = re.compile(r"\$?\{[^{}]*\}")


class Shown(NamedTuple):
    """A command without `az` itself, and the file that shows it."""

    file: str
    words: tuple[str, ...]


def in_shell(text: str) -> list[tuple[str, ...]]:
    """The commands of a script, also those within others."""
    found = []
    text = re.sub(r"\\\n", " ", text)
    for it in BEGINNING.finditer(text):
        lexer = shlex.shlex(text[it.end() :].partition("\n")[0], posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        try:
            for word in lexer:
                if word[0] in ";&|()<>`#":
                    break
                words.append(word)
        except ValueError:
            # A quote that was opened before the command ends behind it.
            pass
        found.append(tuple(words))
    return found


def in_markdown(text: str) -> list[tuple[str, ...]]:
    """Those of its code: a block is a script, a span is one line however it is wrapped."""
    scripts = [block or " ".join(span.split()) for block, span in CODE.findall(text)]
    return [command for script in scripts for command in in_shell(script)]


def in_texts(pattern: re.Pattern, source: str) -> list[tuple[str, ...]]:
    """Those of the texts of a program: a text that is a command, or has one between backticks."""
    found = []
    for first, second in pattern.findall(source):
        text = re.sub(r"\\\n\s*", "", first or second).replace('\\"', '"').replace("\\'", "'")
        # For a type `az` takes its own words only.
        text = FILLED_IN.sub(lambda it: "User" if it[0].endswith(".type}") else "1", text)
        scripts = [text] if text.startswith("az ") else re.findall(r"`(az [^`]+)`", text)
        found += [command for script in scripts for command in in_shell(script)]
    return found


def in_rust(source: str) -> list[tuple[str, ...]]:
    return in_texts(RUST, source.partition("#[cfg(test)]")[0])


def in_bicep(source: str) -> list[tuple[str, ...]]:
    return in_texts(BICEP, source)


READERS = {".md": in_markdown, ".rs": in_rust, ".bicep": in_bicep}


def of_tree() -> list[Shown]:
    """Every command that a file shows which is, or is to be, in the repository; tests show none to anybody."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *(f"*{it}" for it in READERS)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    files = [ROOT / it for it in listed if "/tests/" not in it]
    return [Shown(str(it.relative_to(ROOT)), words) for it in files if it.exists() for words in READERS[it.suffix](it.read_text())]
