"""The packages for handlers as the registries of Rust, Python and JavaScript would have them, and projects that use them.

A project is made by `longshore new`, outside of the repository. It is told nothing but where its package lies.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
GUEST = REPOSITORY / "guest"
HOST = Path(os.environ["LONGSHORE_BINARY"])
VERSION = "0.1.0"
LANGUAGES = ("rust", "python", "typescript", "javascript")
# What a project must not see: it stands alone.
HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV", "NODE_PATH", "CARGO_TARGET_DIR")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in HIDDEN and not name.startswith("LONGSHORE_")}
PIP = ("--quiet", "--disable-pip-version-check")


class Failed(AssertionError):
    """A command did not end as it should."""


def run(folder: Path, *command: "str | Path", ends: int = 0, **variables: str) -> str:
    """What a command prints, in a folder, with both streams in one."""
    ran = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT | variables,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if ran.returncode != ends:
        raise Failed(f"{' '.join(map(str, command))} in {folder} ended with {ran.returncode}:\n{ran.stdout}")
    return ran.stdout


def longshore(folder: Path, *words: str, ends: int = 0) -> dict:
    """What the program says of itself, as one JSON object."""
    command = [HOST, *words, "--output=json", "--log=off"]
    ran = subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ran.returncode != ends:
        raise Failed(f"longshore {' '.join(words)} in {folder} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return json.loads(ran.stdout)


class Project:
    """One project, with what its README says to type."""

    def __init__(self, language: str, name: str, above: Path):
        self.language, self.folder = language, above / name
        made = longshore(above, "new", name, "--lang", language)
        if made["missing"]:
            raise Failed(f"{language} needs what is not here: {made['missing']}")
        assert all((self.folder / it).is_file() for it in made["files"]), made

    def install(self, packages: Path) -> None:
        """What is installed before the first build."""
        match self.language:
            case "rust":
                # The versions that this repository has tried. Cargo leaves out what the project has no need of.
                shutil.copy(GUEST / "Cargo.lock", self.folder)
            case "python":
                run(self.folder, "python3", "-m", "venv", ".venv")
                variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages)}
                run(self.folder, ".venv/bin/pip", "install", *PIP, "-r", "requirements.txt", **variables)
            case _:
                flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
                run(self.folder, "npm", "install", *flags, packages / f"longshore-guest-{VERSION}.tgz")

    def test(self) -> None:
        """Its own tests, natively."""
        match self.language:
            case "rust":
                assert "3 passed" in run(self.folder, "cargo", "test", CARGO_PROFILE_TEST_OPT_LEVEL="0")
            case "python":
                run(self.folder, ".venv/bin/pip", "check", *PIP)
                assert "Ran 3 tests" in run(self.folder, ".venv/bin/python", "-m", "unittest")
            case _:
                assert "# pass 3" in run(self.folder, "npm", "test")


def make(language: str, into: Path) -> None:
    """Puts the package for a language where `Project.install` finds it."""
    match language:
        case "rust":
            # A project is built with it, natively and as a component: that is all there is to verify.
            run(GUEST, "cargo", "package", "--allow-dirty", "--no-verify", "--package", "longshore-guest")
            with tarfile.open(GUEST / f"target/package/longshore-guest-{VERSION}.crate") as crate:
                crate.extractall(into, filter="data")
            # Cargo reads it for each project that lies below.
            (into / ".cargo").mkdir(exist_ok=True)
            package = json.dumps(str(into / f"longshore-guest-{VERSION}"))
            (into / ".cargo/config.toml").write_text(f"[patch.crates-io]\nlongshore-guest.path = {package}\n")
        case "python":
            pip = (sys.executable, "-m", "pip")
            run(into, *pip, "wheel", *PIP, "--no-deps", "--wheel-dir", into, GUEST / "python")
            run(into, *pip, "download", *PIP, "--require-hashes", "--dest", into, "-r", GUEST / "python/requirements.txt")
        case _:
            # `make` has compiled it.
            run(GUEST / "js", "npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", into)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Debian's docker-registry on loopback, without a login."""
    port = free_port()
    (folder / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (folder / "registry.log").open("w") as log:
        serving = subprocess.Popen(["docker-registry", "serve", folder / "registry.yml"], stdout=log, stderr=log)
    try:
        for _ in range(600):
            if serving.poll() is not None:
                raise Failed((folder / "registry.log").read_text())
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        serving.terminate()
        serving.wait()
