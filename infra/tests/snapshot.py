"""What Microsoft's compiler predicts of a deployment: `bicep snapshot` works it out as Azure's own engine does, and asks nobody."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

INFRA = Path(__file__).parent.parent
VARIANTS = INFRA / "tests/variants"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-given"
ENVELOPE = {"id", "type", "name", "apiVersion", "scope"}
MISSING = "bicep is not on PATH: `az bicep install` and ~/.azure/bin, or a release of github.com/Azure/bicep, 0.49.2 or later"


class Refused(Exception):
    """What the compiler or its engine says about a deployment that cannot be."""


class Runtime(str):
    """An expression whose value only Azure knows."""


class Resource(NamedTuple):
    """A resource that would be deployed."""

    type: str
    api_version: str
    name: str
    body: dict
    scope: str
    where: str


class Deployment(NamedTuple):
    """What would be deployed, and what the template would answer."""

    resources: list[Resource]
    outputs: dict[str, Any]

    def of_type(self, type_: str) -> list[Resource]:
        return [it for it in self.resources if it.type == type_]


def bicep(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess:
    """Runs the compiler. A test of templates without it would be none, so that it fails where there is no compiler."""
    assert shutil.which("bicep"), MISSING
    return subprocess.run(["bicep", *map(str, arguments)], env=os.environ | variables, capture_output=True, text=True)


def snapshot(file: Path, mode: str, **variables: str) -> subprocess.CompletedProcess:
    """Predicts, or validates a prediction that is beside the file."""
    using = file.read_text().partition("\n")[0]
    group = [] if "subscription.bicep'" in using else ["--resource-group", "rg-given"]
    return bicep(
        "snapshot", file, "--mode", mode, "--subscription-id", SUBSCRIPTION, "--location", "westeurope", "--deployment-name", "test", *group, **variables
    )


def literal(value: Any) -> str:
    """A value as Bicep writes it."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${").replace("\n", "\\n")
        return f"'{escaped}'"
    if isinstance(value, dict):
        return "{" + "".join(f"\n{key if key.isidentifier() else literal(key)}: {literal(it)}" for key, it in value.items()) + "\n}"
    if isinstance(value, list):
        return "[" + "".join(f"\n{literal(it)}" for it in value) + "\n]"
    return json.dumps(value)


def predicted(template: str = "main.bicep", infra: Path = INFRA, **parameters: Any) -> Deployment:
    """What a template makes of these parameters."""
    given = {"name": "long-shore"} | parameters if template == "main.bicep" else parameters
    return _predicted(template, infra, json.dumps(given))


@functools.cache
def _predicted(template: str, infra: Path, parameters: str) -> Deployment:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "it.bicepparam"
        lines = [f"param {key} = {literal(it)}\n" for key, it in json.loads(parameters).items()]
        file.write_text(f"using '{os.path.relpath(infra / template, Path(folder).resolve())}'\n" + "".join(lines))
        return read(file)


def read(file: Path, **variables: str) -> Deployment:
    """What a file of parameters makes of its template."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        using, _, rest = file.read_text().partition("\n")
        template = (file.parent / using.split("'")[1]).resolve()
        copy.write_text(f"using '{os.path.relpath(template, Path(folder).resolve())}'\n{rest}")
        ran = snapshot(copy, "overwrite", **variables)
        # A warning is a mistake: the service ignores what it does not know.
        if ran.returncode or "Warning " in ran.stdout + ran.stderr:
            raise Refused(ran.stdout + ran.stderr)
        return parsed(json.loads(copy.with_suffix(".snapshot.json").read_text()))


def write_all() -> None:
    """Predicts each variant anew."""
    for file in sorted(VARIANTS.glob("*.bicepparam")):
        ran = snapshot(file, "overwrite")
        if ran.returncode:
            raise SystemExit(ran.stdout + ran.stderr)


def parsed(said: dict) -> Deployment:
    return Deployment([resource(it) for it in said["predictedResources"]], said["outputs"])


def resource(said: dict) -> Resource:
    said = marked(said)
    body = {key: it for key, it in said.items() if key not in ENVELOPE}
    scope = said.get("scope", said["id"].removeprefix("[extensionResourceId('").partition("'")[0])
    return Resource(said["type"], said["apiVersion"], said["name"], body, scope, f"{said['type']} {said['name']}")


def marked(value: Any) -> Any:
    """With what only Azure knows marked as such, and without properties that are null."""
    if isinstance(value, dict):
        return {key: marked(it) for key, it in value.items() if it is not None}
    if isinstance(value, list):
        return [marked(it) for it in value]
    return Runtime(value) if isinstance(value, str) and value.startswith("[") and not value.startswith("[[") else value
