"""Releases as the workflow makes them, the server that has them, and machines that have few programs."""

import hashlib
import platform
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from release import ROOT

TARGET = f"{platform.machine()}-unknown-linux-gnu"


class Server(ThreadingHTTPServer):
    """Serves a folder as GitHub serves releases. Files named in `cut` end halfway."""

    def __init__(self, folder: Path):
        self.cut: set[str] = set()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Files, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Files(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.rpartition("/")[2] not in self.server.cut:
            super().do_GET()
            return
        whole = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: len(whole) // 2])

    def log_message(self, *_):
        pass


def program(version: str) -> str:
    """A program that says its version, and that completes nothing. Its man pages are none."""
    return f'#!/bin/sh\ncase $1 in --version) echo "longshore {version}" ;; completions) ;; man) mkdir -p "$2" ;; *) exit 2 ;; esac\n'


class Releases:
    """A folder of releases, made as the workflow makes them."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, version: str, text: str | None = None, target: str = TARGET) -> Path:
        """Adds a release, whose program is a script; returns its archive."""
        there = self.folder / f"download/v{version}"
        binary = self.folder / "program"
        binary.write_text(text or program(version))
        subprocess.run([ROOT / "release/archive.sh", binary, version, target, there], check=True)
        self.list(version)
        return there / f"longshore-v{version}-{target}.tar.gz"

    def list(self, version: str) -> None:
        """Writes the sums anew, and makes it the newest."""
        there = self.folder / f"download/v{version}"
        files = sorted(it for it in there.iterdir() if it.name != "sha256.sum")
        (there / "sha256.sum").write_text("".join(f"{hashlib.sha256(it.read_bytes()).hexdigest()}  {it.name}\n" for it in files))
        latest = self.folder / "latest/download"
        latest.parent.mkdir(exist_ok=True)
        latest.unlink(missing_ok=True)
        latest.symlink_to(there)


def tools(folder: Path, *names: str, **scripts: str) -> Path:
    """A folder for PATH with these programs of the machine, and these scripts."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, f"this machine has no {name}"
        (folder / name).symlink_to(found)
    for name, text in scripts.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder
