"""How a component is made of a handler. It runs natively, and is no part of a component."""

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ._imports import Imports

PACKAGE = Path(__file__).parent
# componentize-py keeps every import of a world, used or not, and each has to be granted. So the world has what is used.
NEEDS = {
    "config": "wasi:config/store@0.2.0-rc.1",
    "http": "wasi:http/outgoing-handler@0.2.12",
    "outbox": "longshore:handler/outbox@0.1.0",
    "session": "longshore:handler/session@0.1.0",
}
# The module that is made a component. It imports the handler's own.
ENTRY = "longshore_component"


class BuildFailed(Exception):
    """There is no component. It says why, for people."""


def build(source: Path, output: Path, *, paths: Iterable[Path] = (), needs: Iterable[str] = ()) -> None:
    """Makes a component of a module, and of what it imports.

    Packages come from `paths` and from where the running Python has them.
    """
    if not source.is_file():
        raise BuildFailed(f"there is no file {source}")
    if not source.stem.isidentifier():
        raise BuildFailed(f"{source.name} cannot be imported: rename it, as in handler.py")
    folders = [source.resolve().parent, *(it.resolve() for it in paths), PACKAGE.parent]
    installed = _installed()
    try:
        needed = {*needs, *_needs(source, [*folders, *installed])}
    except SyntaxError as error:
        raise BuildFailed(f"{error.filename}:{error.lineno}: {error.msg}") from None
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="longshore-") as temporary:
        wit, entry = Path(temporary, "wit"), Path(temporary, "entry")
        shutil.copytree(PACKAGE / "wit", wit / "deps")
        (wit / "world.wit").write_text(_world(needed))
        entry.mkdir()
        (entry / f"{ENTRY}.py").write_text(f"import {source.stem}\nfrom longshore_guest._component import Handler\n")
        made = entry / "component.wasm"
        _componentize(wit, [entry, *folders, *installed], made)
        # Whoever watches the file sees a whole one.
        shutil.copyfile(made, output.with_suffix(".part"))
        output.with_suffix(".part").replace(output)


def _installed() -> list[Path]:
    """The folders that packages are installed in, those of `pip install --user` among them."""
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(it) for it in (*own, *site.getsitepackages())]


def _needs(source: Path, folders: list[Path]) -> set[str]:
    """Which modules of this package are imported, by the handler or by what it imports."""
    found = Imports(folders)
    found.follow(source, "")
    return {it for it in NEEDS if f"longshore_guest.{it}" in found.modules}


def _world(needs: Iterable[str]) -> str:
    imports = ["wasi:logging/logging@0.1.0-draft", *(NEEDS[it] for it in sorted(set(needs)))]
    lines = [*(f"import {it};" for it in imports), "export longshore:handler/handler@0.1.0;"]
    return "package longshore:built;\n\nworld built {\n" + "".join(f"    {it}\n" for it in lines) + "}\n"


def _componentize(wit: Path, folders: list[Path], made: Path) -> None:
    tool = [sys.executable, "-c", "import sys; from componentize_py import script; sys.exit(script())"]
    path = [argument for folder in dict.fromkeys(folders) for argument in ("-p", str(folder))]
    command = [*tool, "-q", "-d", str(wit), "-w", "built", "componentize", ENTRY, *path, "-o", str(made)]
    # With a folder of that name it looks nowhere else: the folders that are named are all there are.
    environment = {**os.environ, "VIRTUAL_ENV": str(made.parent)}
    try:
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        raise BuildFailed(f"componentize-py cannot be started: {error}") from None
    if ran.returncode != 0:
        raise BuildFailed(_cause(ran.stdout))


def _cause(said: str) -> str:
    """What Python said, without the native frames around it.

    componentize-py hands on the traceback of the module as the words of an error of its own.
    """
    opening = "Traceback (most recent call last):"
    lines = said.split("\nStack backtrace:")[0].splitlines()
    start = max((number for number, line in enumerate(lines) if line.endswith(f": {opening}")), default=None)
    if start is None:
        start = next((number for number, line in enumerate(lines) if line.strip() == opening), None)
    if start is None:
        return f"componentize-py failed:\n{said.strip()}"
    told = [opening, *lines[start + 1 :]]
    if "Caused by:" in told:
        told = told[: told.index("Caused by:")]
    return "the module cannot be imported:\n" + "\n".join(told).rstrip()
