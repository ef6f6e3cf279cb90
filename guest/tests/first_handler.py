"""How long it takes from an installed program to the first handled message of a handler of one's own: `make first-handler`.

What a package manager downloads was downloaded before. Nothing else is there: no crate is compiled, and no component.
LONGSHORE_BINARY is the host. Languages may be named as arguments.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import packages
from packages import Project, longshore

# The longest that a newcomer should wait, in seconds.
BARS = {"rust": 90, "python": 60, "typescript": 60, "javascript": 60}


def measure(language: str, name: str, folder: Path) -> dict[str, float]:
    """The seconds of each step."""
    # The host's own cache of compiled components is new as well.
    packages.ENVIRONMENT["LONGSHORE_CACHE_DIR"] = str(folder / f"{name}-cache")
    took: dict[str, float] = {}
    last = time.monotonic()

    def step(name: str) -> None:
        nonlocal last
        now = time.monotonic()
        took[name], last = now - last, now

    project = Project(language, name, folder)
    step("new")
    project.install(folder)
    step("install")
    longshore(project.folder, "build")
    step("build")
    longshore(project.folder, "queue", "create")
    longshore(project.folder, "queue", "create", "--queue", "file:./queues/invoices")
    longshore(project.folder, "send", "--file", "samples/good.json")
    step("send")
    ended = longshore(project.folder, "run")
    assert ended["completed"] == 1, ended
    step("run")
    return took


def main() -> None:
    late = []
    for language in sys.argv[1:] or BARS:
        with tempfile.TemporaryDirectory(prefix="longshore-first-") as folder:
            packages.make(language, Path(folder))
            # The first one warms the caches of packages. What it has built is its own.
            measure(language, "first", Path(folder))
            shutil.rmtree(Path(folder) / "first")
            took = measure(language, "second", Path(folder))
        total, bar = sum(took.values()), BARS[language]
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items())
        print(f"{language}: {total:.1f} s of at most {bar} s ({steps}); load {os.getloadavg()[0]:.1f}", flush=True)
        late += [language] if total > bar else []
    sys.exit(f"slower than it should be: {', '.join(late)}" if late else 0)


if __name__ == "__main__":
    main()
