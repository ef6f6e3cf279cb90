"""What Microsoft's compiler predicts of a deployment: it works it out as Azure's own engine does, and asks nobody."""

import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from compiler import INFRA, SUBSCRIPTION, Compiler, compiler

VARIANTS = INFRA / "tests/variants"
NAMES = sorted(it.stem for it in VARIANTS.glob("*.bicepparam"))
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-given"
# Where the variants have what exists already.
THEIRS = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers"
QUEUE_OF = "Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues"
ENVELOPE = {"id", "type", "name", "apiVersion", "scope"}


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
    lines = [f"param {key} = {literal(it)}\n" for key, it in json.loads(parameters).items()]
    return made_by(infra / template, "".join(lines), compiler())


def made_by(template: Path, parameters: str, asked: Compiler) -> Deployment:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder).resolve() / "it.bicepparam"
        file.write_text(f"using '{os.path.relpath(template, file.parent)}'\n{parameters}")
        return parsed(json.loads(asked.predicted(file)))


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


def variant(name: str) -> Deployment:
    """What is committed; that it is what the templates make is a test of its own."""
    return parsed(json.loads((VARIANTS / f"{name}.snapshot.json").read_text()))


def job_of(deployment: Deployment, name: str = "long-shore") -> dict:
    (job,) = [it.body for it in deployment.of_type("Microsoft.App/jobs") if it.name == name]
    return job


def rule_of(job: dict) -> dict:
    (rule,) = job["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"]
    return rule


def variables_of(job: dict) -> dict[str, str]:
    (container,) = job["properties"]["template"]["containers"]
    return {it["name"]: it["value"] for it in container["env"] if "secretRef" not in it}
