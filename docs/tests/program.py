"""The program, and the components that the pages name."""

import os
import re
import subprocess
from pathlib import Path

from pages import ROOT

BINARY = Path(os.environ.get("LONGSHORE_BINARY", ROOT / "target/debug/longshore")).absolute()
# `guest/order`, as it was built once: it does what a message asks for, and needs no compiler here.
ORDER = ROOT / "host/sandbox/tests/sandbox/contracts/handler-0.1.0.wasm"


def environment(**more: str) -> dict[str, str]:
    """The environment, without what would change a run, and with the program on the path."""
    kept = {key: it for key, it in os.environ.items() if not key.startswith("LONGSHORE_")}
    return {**kept, "COLUMNS": "100", "NO_COLOR": "1", **more}


def said(*words: str, cwd: Path = ROOT) -> str:
    ran = subprocess.run([BINARY, *words], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300)
    if ran.returncode:
        raise AssertionError(f"longshore {' '.join(words)}: {ran.returncode}\n{ran.stderr}")
    return ran.stdout


def verbs(*path: str) -> list[tuple[str, ...]]:
    """Every verb that does something, in the order of the help. Hidden ones are not among them."""
    text = said(*path, "--help")
    listed = text.partition("\nCommands:\n")[2].partition("\n\n")[0]
    names = [it for it in re.findall(r"^  ([a-z][a-z-]*)", listed, re.M) if it != "help"]
    # The usage of a verb that needs none of those below it begins without them.
    itself = [path] if path and not re.search(r"^Usage: .*COMMAND", text, re.M) else []
    return itself + [it for name in names for it in verbs(*path, name)]
