"""Bicep's linter and formatter have nothing to say about any file. A warning fails as well: the service ignores what it does not know."""

from pathlib import Path

from compiler import INFRA, compiler

TEMPLATES = sorted([*INFRA.glob("*.bicep"), *INFRA.glob("modules/*.bicep")])
PARAMETERS = sorted([*INFRA.glob("*.bicepparam"), *INFRA.glob("tests/variants/*.bicepparam")])


def findings() -> list[str]:
    """What is to be changed."""
    asked, template = compiler(), INFRA / "subscription.bicep"
    unused = {str(it) for it in TEMPLATES} - set(asked.ask("getFileReferences", template)["filePaths"])
    # The compiler says of a file what it finds in all that it uses.
    found = [f"{it}: no template uses it" for it in sorted(unused)]
    found += [it for file in [template, *PARAMETERS] for it in asked.findings(file)]
    return list(dict.fromkeys(found)) + [unformatted(it) for it in [*TEMPLATES, *PARAMETERS] if asked.formatted(it) != it.read_text()]


def unformatted(file: Path) -> str:
    return f"{file.name}: `bicep format` would change it"


if __name__ == "__main__":
    if said := findings():
        raise SystemExit("\n".join(said))
