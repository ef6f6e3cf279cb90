"""What the models of azure-mgmt-appcontainers say about a Microsoft.App resource: names, types, allowed words, what is read-only.

The models are generated from the same specification as the service's own checks, api-version 2026-07-01 in 5.1.
"""

import enum
import importlib
import types
import typing
from typing import Any

from azure.mgmt.appcontainers import models
from azure.mgmt.appcontainers._utils.model_base import Model

from snapshot import Resource, Runtime

API_VERSION = "2026-07-01"
MODELS = {
    "Microsoft.App/jobs": models.Job,
    "Microsoft.App/managedEnvironments": models.ManagedEnvironment,
}
# `name` stands beside the body in the request's path.
ENVELOPE = {"name"}
# What the annotations' forward references are written in.
_models = importlib.import_module("azure.mgmt.appcontainers.models._models")
NAMES = vars(_models) | {"_models": models}


def findings(resource: Resource) -> list[str]:
    """Whatever the service would refuse or ignore, each with its place."""
    found = []
    if resource.api_version != API_VERSION:
        found.append(f"{resource.type}: api-version {resource.api_version} is not the models' {API_VERSION}")
    body = {key: value for key, value in resource.body.items() if key not in ENVELOPE}
    return found + list(check(MODELS[resource.type], body, resource.where))


def check(expected: Any, value: Any, path: str) -> typing.Iterator[str]:
    """Compares a value with a type as the models annotate it."""
    expected = resolve(expected)
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if isinstance(value, Runtime) or expected is Any:
        return
    if origin in (typing.Union, types.UnionType):
        yield from one_of([it for it in arguments if it is not type(None)], value, path)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: not a list: {value!r}"
            return
        for index, item in enumerate(value):
            yield from check(arguments[0], item, f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: not an object: {value!r}"
            return
        for key, item in value.items():
            yield from check(arguments[1], item, f"{path}.{key}")
    elif issubclass(expected, Model):
        yield from model(expected, value, path)
    # A bool is an int to Python, and to nobody else.
    elif isinstance(value, bool) and expected is not bool:
        yield f"{path}: not {expected.__name__}: {value!r}"
    elif not isinstance(value, (int, float) if expected is float else expected):
        yield f"{path}: not {expected.__name__}: {value!r}"


def one_of(options: list[Any], value: Any, path: str) -> typing.Iterator[str]:
    """The models write a closed set of words as `str | Enum`."""
    words = [resolve(it) for it in options if isinstance(resolve(it), type) and issubclass(resolve(it), enum.Enum)]
    if words:
        allowed = [it.value for it in words[0]]
        if value not in allowed:
            yield f"{path}: {value!r} is none of {', '.join(allowed)}"
        return
    yield from check(options[0], value, path)


def model(expected: Any, value: Any, path: str) -> typing.Iterator[str]:
    """Compares an object with a model, property by property."""
    if not isinstance(value, dict):
        yield f"{path}: not an object: {value!r}"
        return
    fields = {field._rest_name: (name, field) for name, field in expected({})._attr_to_rest_field.items()}
    annotations = {name: it for base in reversed(expected.__mro__) for name, it in vars(base).get("__annotations__", {}).items()}
    for key, item in value.items():
        if key not in fields:
            yield f"{path}.{key}: unknown in {expected.__name__}"
            continue
        name, field = fields[key]
        if field._visibility == ["read"]:
            yield f"{path}.{key}: read-only in {expected.__name__}"
            continue
        yield from check(annotations[name], item, f"{path}.{key}")
    for key, (name, field) in fields.items():
        if not field._is_optional and field._visibility != ["read"] and key not in value:
            yield f"{path}.{key}: required in {expected.__name__}"


def resolve(annotation: Any) -> Any:
    """The type behind a forward reference."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    return eval(annotation, NAMES) if isinstance(annotation, str) else annotation
