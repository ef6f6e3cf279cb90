"""Settings that the operator granted (`--config KEY=VALUE`). A component that imports this module needs one."""

from typing import overload

from ._failure import Retry
from ._stage import IN_COMPONENT, current

if IN_COMPONENT:
    from wit_world.imports import store

__all__ = ["get", "require"]


@overload
def get(key: str) -> str | None: ...
@overload
def get(key: str, default: str) -> str: ...
def get(key: str, default: str | None = None) -> str | None:
    """The setting of that name, if it was granted."""
    value = store.get(key) if IN_COMPONENT else current.get().config.get(key)
    return default if value is None else value


def require(key: str) -> str:
    """The setting of that name. Raises `Retry` if it was not granted, since no message is at fault."""
    value = get(key)
    if value is None:
        raise Retry(f"the setting {key} is missing: --config {key}=… grants it")
    return value
