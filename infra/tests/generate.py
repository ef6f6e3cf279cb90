"""Writes anew what is made from the templates: each prediction, the compiled template, and the parameters on the page that explains them."""

import json
import re
from pathlib import Path

from compiler import INFRA, compiler
from snapshot import VARIANTS

PAGE = INFRA.parent / "docs/deploy.md"
# Who has no compiler deploys this: the portal, by its button.
COMPILED = INFRA / "azuredeploy.json"
BEGINNING = "<!-- Made by `make infra-generated`: what stands here is written anew from the template. -->"
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
    return title(name), definitions[name] | schema


def title(name: str) -> str:
    """What the page calls a type. The compiler numbers the files that types come from; `existing` is a parameter as well."""
    return name.rpartition(".")[2].removesuffix("Type")


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


def fields(properties: dict, definitions: dict) -> str:
    """A table, or a list of names that say it all."""
    described = any("description" in it.get("metadata", {}) for it in properties.values())
    return table(properties, definitions) if described else ", ".join(f"`{it}`" for it in properties) + "."


def parameters(template: dict) -> str:
    """A table of the parameters, and one of each type that has fields."""
    definitions = template.get("definitions", {})
    parts = [table(template["parameters"], definitions)]
    for name, it in definitions.items():
        if "properties" in it:
            parts += [f"#### {title(name)}", it["metadata"]["description"], fields(it["properties"], definitions)]
    return "\n\n".join(parts)


def on(page: str, template: dict) -> str:
    """The page with what is between the marks made anew."""
    begins, ends = page.count(BEGINNING), page.count(END)
    if (begins, ends) != (1, 1):
        raise SystemExit(f"the page has {begins} times `{BEGINNING}` and {ends} times `{END}`; each has to be there once")
    pattern = re.escape(BEGINNING) + ".*?" + re.escape(END)
    text = f"{BEGINNING}\n\n{parameters(template)}\n\n{END}"
    return re.sub(pattern, lambda _: text, page, flags=re.S)


def unversioned(value: object) -> object:
    """A template without what each version of the compiler says about itself."""
    if isinstance(value, dict):
        return {key: unversioned(it) for key, it in value.items() if key != "_generator"}
    return [unversioned(it) for it in value] if isinstance(value, list) else value


def prediction(file: Path) -> str:
    """What is committed of a prediction. The engine puts outputs into any order."""
    said = json.loads(compiler().predicted(file))
    said["outputs"] = dict(sorted(said["outputs"].items()))
    return written(said)


def written(value: dict) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Each file, as it has to be."""
    template = unversioned(compiler().built(INFRA / "main.bicep"))
    variants = {it.with_suffix(".snapshot.json"): prediction(it) for it in sorted(VARIANTS.glob("*.bicepparam"))}
    return variants | {COMPILED: written(template), PAGE: on(PAGE.read_text(), template)}


if __name__ == "__main__":
    for file, text in generated().items():
        file.write_text(text)
