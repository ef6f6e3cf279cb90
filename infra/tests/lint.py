"""Bicep's linter and formatter have nothing to say about any file. A warning fails as well: the service ignores what it does not know."""

from pathlib import Path

from compiler import INFRA, Compiler

FILES = sorted([*INFRA.glob("*.bicep"), *INFRA.glob("modules/*.bicep"), *INFRA.glob("*.bicepparam"), *INFRA.glob("tests/variants/*.bicepparam")])
# What azd would give.
AZD = {"AZURE_ENV_NAME": "long-shore", "AZURE_LOCATION": "westeurope"}


def said(files: list[Path]) -> list[str]:
    """What is to be changed."""
    with Compiler(**AZD) as asked:
        found = [it for file in files for it in asked.findings(file)]
        return found + [f"{it.name}: the formatter would change it" for it in files if asked.formatted(it) != it.read_text()]


if __name__ == "__main__":
    raise SystemExit("\n".join(dict.fromkeys(said(FILES))))
