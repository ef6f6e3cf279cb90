"""Writes the parameters of a template into the page that explains them, between two marks.

    bicep build --stdout infra/main.bicep | python3 infra/docs.py docs/deploy.md

With `--check` nothing is written, and a page that is not current is an error.
"""

import json
import re
import sys
from pathlib import Path

BEGINNING = "<!-- Made by `make infra-docs`: what stands here is written anew from the template. -->"
END = "<!-- Here it ends. -->"


def code(value: object) -> str:
    """A value as one writes it in Bicep."""
    if isinstance(value, str):
        return f"`'{value}'`"
    return f"`{json.dumps(value)}`"


def definition(schema: dict, definitions: dict) -> tuple[str | None, dict]:
    """What a reference refers to, with its name; what stands beside the reference counts more."""
    if "$ref" not in schema:
        return None, schema
    name = schema["$ref"].rpartition("/")[2]
    return name, definitions[name] | schema


def type_of(schema: dict, definitions: dict) -> str:
    """The type in words of Bicep, or the values that are allowed."""
    name, schema = definition(schema, definitions)
    if "allowedValues" in schema:
        return ", ".join(code(it) for it in schema["allowedValues"])
    if schema["type"] == "array":
        item = schema.get("items")
        return f"list of {type_of(item, definitions)}" if item else "list"
    if schema["type"] == "object" and name and "properties" in schema:
        return f"[`{name}`](#{name.lower()})"
    return schema["type"]


def limits(schema: dict) -> list[str]:
    """What a value may be, in sentences."""
    said = []
    for least, most, of in [("minValue", "maxValue", ""), ("minLength", "maxLength", " long")]:
        if least in schema and most in schema:
            said.append(f"{schema[least]} to {schema[most]}{of}.")
        elif least in schema:
            said.append(f"At least {schema[least]}{of}.")
        elif most in schema:
            said.append(f"At most {schema[most]}{of}.")
    return said


def default(schema: dict) -> str:
    if "defaultValue" not in schema:
        return "" if schema.get("nullable") else "has to be given"
    value = schema["defaultValue"]
    # Azure works out what begins with a bracket; two of them are one.
    if isinstance(value, str) and value.startswith("[") and not value.startswith("[["):
        return "worked out"
    return "empty" if value in ("", [], {}) else code(value)


def row(name: str, schema: dict, definitions: dict) -> str:
    _, whole = definition(schema, definitions)
    words = " ".join([*whole.get("metadata", {}).get("description", "").split(), *limits(whole)])
    cells = [f"`{name}`", type_of(schema, definitions), default(whole), words]
    return "| " + " | ".join(it.replace("|", "\\|") for it in cells) + " |"


def table(fields: dict, definitions: dict) -> str:
    head = ["| | type | default | |", "|---|---|---|---|"]
    return "\n".join([*head, *(row(name, it, definitions) for name, it in fields.items())])


def parameters(template: dict) -> str:
    """A table of the parameters, and one of each type that has fields."""
    definitions = template.get("definitions", {})
    parts = [table(template["parameters"], definitions)]
    for name, it in definitions.items():
        if "properties" in it:
            parts.append(f"#### {name}\n\n{table(it['properties'], definitions)}")
    return "\n\n".join(parts)


def written(page: str, template: dict) -> str:
    """The page with what is between the marks made anew."""
    begins, ends = page.count(BEGINNING), page.count(END)
    if (begins, ends) != (1, 1):
        raise SystemExit(f"the page has {begins} times `{BEGINNING}` and {ends} times `{END}`; each has to be there once")
    pattern = re.escape(BEGINNING) + ".*?" + re.escape(END)
    text = f"{BEGINNING}\n\n{parameters(template)}\n\n{END}"
    return re.sub(pattern, lambda _: text, page, flags=re.S)


def main(page: Path, check: bool) -> None:
    before = page.read_text()
    after = written(before, json.load(sys.stdin))
    if check and after != before:
        raise SystemExit(f"{page} does not show the parameters as they are: `make infra-docs` writes them")
    if not check:
        page.write_text(after)


if __name__ == "__main__":
    words = [it for it in sys.argv[1:] if it != "--check"]
    main(Path(words[0]), "--check" in sys.argv)
