"""Just enough of Bicep to see what a deployment would send to Azure, where no Bicep compiler can be had.

`deploy` evaluates a template and its modules with given parameters, and returns every resource with its values worked out.
What only Azure knows, such as a login server, becomes a `Runtime`. A name that nobody declares, a parameter that a module does not
have, a value that a decorator forbids or an output of a module that is not deployed is a `BicepError`, with file and line.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_bicep
from tree_sitter import Node

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/group"


class BicepError(Exception):
    """What a compiler would refuse: file, line and cause."""


class Runtime(str):
    """A value that only the deployment knows; printed as where it comes from. It may stand for any type."""


@dataclass
class Resource:
    """A resource as it would be sent."""

    symbol: str
    type: str
    api_version: str
    body: dict[str, Any]
    where: str

    @property
    def id(self) -> "Runtime":
        """Stands for the resource wherever another names it."""
        return Runtime(f"«{self.type} {self.body.get('name')}»")


@dataclass
class Deployment:
    """What a template with its modules comes to."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, type_: str) -> list[Resource]:
        """Every resource of a type."""
        return [it for it in self.resources if it.type == type_]


def parse(path: Path) -> Node:
    """The syntax tree of a file, which has to be without a flaw."""
    tree = PARSER.parse(path.read_bytes()).root_node
    if tree.has_error:
        raise BicepError(f"{path.name}:{first_error(tree).start_point.row + 1}: not Bicep")
    return tree


def first_error(node: Node) -> Node:
    """The innermost place at which parsing went wrong."""
    for child in node.children:
        if child.is_error or child.is_missing:
            return child
        if child.has_error:
            return first_error(child)
    return node


def deploy(path: Path, parameters: dict[str, Any]) -> Deployment:
    """Evaluates a template with its modules."""
    template = Template(path, parameters)
    return template.deployment()


class Template:
    """One file, evaluated lazily: declarations may stand in any order."""

    def __init__(self, path: Path, parameters: dict[str, Any]):
        self.path = path
        self.declarations: dict[str, Node] = {}
        self.decorators: dict[str, list[Node]] = {}
        self.outputs: dict[str, Node] = {}
        self.values: dict[str, Any] = {}
        self.found = Deployment()
        self.tree = parse(path)
        pending: list[Node] = []
        for node in self.tree.named_children:
            match node.type:
                case "decorators":
                    pending = [it.named_children[0] for it in node.named_children]
                    continue
                case "parameter_declaration" | "variable_declaration" | "resource_declaration" | "module_declaration":
                    name = text(named(node, "identifier"))
                    if name in self.declarations:
                        raise self.error(node, f"{name} is declared twice")
                    self.declarations[name] = node
                    self.decorators[name] = pending
                case "output_declaration":
                    self.outputs[text(named(node, "identifier"))] = node
                case "target_scope_assignment" | "metadata_declaration" | "comment" | "diagnostic_comment":
                    pass
                case other:
                    raise self.error(node, f"{other} is not known to the tests")
            pending = []
        declared = {name for name, node in self.declarations.items() if node.type == "parameter_declaration"}
        for name in parameters.keys() - declared:
            raise BicepError(f"{path.name}: has no parameter {name}")
        for name in sorted(declared):
            self.values[name] = self.parameter(name, parameters)

    def deployment(self) -> Deployment:
        """Evaluates every resource, module and output, and what they need."""
        for name, node in self.declarations.items():
            if node.type != "variable_declaration":
                self.symbol(name, node, {})
        for name, node in self.outputs.items():
            self.found.outputs[name] = self.value(node.named_children[-1], {})
        used = self.used()
        for name, node in self.declarations.items():
            if node.type in ("parameter_declaration", "variable_declaration") and name not in used:
                raise self.error(node, f"{name} is never used")
        return self.found

    def used(self) -> set[str]:
        """Every name that an expression in this file uses."""
        names: set[str] = set()
        pending = [self.tree]
        while pending:
            node = pending.pop()
            children = node.named_children
            # A declaration begins with the name that it declares, a property with its key.
            named_itself = node.type == "object_property" or node.type.endswith("_declaration")
            names |= {text(it) for it in children[int(named_itself) :] if it.type == "identifier"}
            pending += children
        return names

    def parameter(self, name: str, given: dict[str, Any]) -> Any:
        """A parameter's value, as its type and its decorators allow it."""
        node = self.declarations[name]
        default = node.named_children[-1]
        if name in given:
            value = given[name]
        elif default.type != "type":
            value = self.value(default, {})
        else:
            raise self.error(node, f"parameter {name} is not given")
        type_ = text(named(node, "type"))
        if not isinstance(value, {"string": str, "int": int, "bool": bool, "object": dict, "array": list}[type_] | Runtime):
            raise self.error(node, f"parameter {name} is not of type {type_}: {value!r}")
        for call in self.decorators[name]:
            rule, *arguments = call.named_children
            limit = [self.value(it, {}) for it in arguments[0].named_children]
            size = len(value) if isinstance(value, (str, list)) else value
            allowed = {
                "allowed": lambda: value in limit[0],
                "minLength": lambda: size >= limit[0],
                "maxLength": lambda: size <= limit[0],
                "minValue": lambda: size >= limit[0],
                "maxValue": lambda: size <= limit[0],
                "description": lambda: True,
            }[text(rule)]
            if not isinstance(value, Runtime) and not allowed():
                raise self.error(node, f"parameter {name}: {value!r} breaks @{text(call)}")
        return value

    def symbol(self, name: str, at: Node, scope: dict[str, Any]) -> Any:
        """What a name stands for."""
        if name in scope:
            return scope[name]
        if name not in self.values:
            if name not in self.declarations:
                raise self.error(at, f"nothing is called {name}")
            node = self.declarations[name]
            read = {"variable_declaration": self.value, "resource_declaration": self.resource, "module_declaration": self.module}
            body = node.named_children[-1]
            if node.type == "variable_declaration":
                self.values[name] = read[node.type](body, {})
            else:
                self.values[name] = self.repeated(body, {}, lambda body, scope: read[node.type](name, node, body, scope))
        return self.values[name]

    def repeated(self, body: Node, scope: dict[str, Any], make: Any) -> Any:
        """What a declaration makes: one thing, none, or a list."""
        if body.type == "for_statement":
            variable = text(body.child_by_field_name("initializer"))
            items = self.value(body.named_children[1], scope)
            inner = body.child_by_field_name("body")
            return [self.repeated(inner, scope | {variable: it}, make) for it in items]
        if body.type == "if_statement":
            condition, inner = body.named_children
            return self.repeated(inner, scope, make) if self.value(condition, scope) else None
        return make(body, scope)

    def resource(self, name: str, node: Node, body: Node, scope: dict[str, Any]) -> Resource:
        """A resource, added to those that are sent."""
        type_, _, version = self.value(named(node, "string"), {}).partition("@")
        made = Resource(name, type_, version, self.value(body, scope), self.where(node))
        self.found.resources.append(made)
        return made

    def module(self, name: str, node: Node, body: Node, scope: dict[str, Any]) -> dict[str, Any]:
        """A module, evaluated; its resources are added to those that are sent."""
        given = self.value(body, scope)
        for key in given.keys() - {"name", "scope", "params"}:
            raise self.error(node, f"a module has no {key}")
        path = self.path.parent / self.value(named(node, "string"), {})
        if not path.is_file():
            raise self.error(node, f"there is no {path.name}")
        inner = deploy(path, given.get("params", {}))
        self.found.resources += inner.resources
        return {"name": given["name"], "outputs": inner.outputs}

    def value(self, node: Node, scope: dict[str, Any]) -> Any:
        """An expression's value."""
        parts = [it for it in node.named_children if it.type not in ("comment", "diagnostic_comment")]
        match node.type:
            case "string":
                return self.string(node, scope)
            case "number":
                return int(text(node))
            case "boolean":
                return text(node) == "true"
            case "null":
                return None
            case "identifier":
                return self.symbol(text(node), node, scope)
            case "parenthesized_expression":
                return self.value(parts[0], scope)
            case "array":
                return [self.value(it, scope) for it in parts]
            case "for_statement":
                return self.repeated(node, scope, self.value)
            case "object":
                return self.object(parts, scope)
            case "member_expression" | "subscript_expression":
                if node.child_by_field_name("object").type in ("binary_expression", "ternary_expression"):
                    # tree-sitter-bicep 1.1 takes `a == b.c` for `(a == b).c`.
                    raise self.error(node, f"{text(node)}: the tests' parser misreads this; name the last part with a variable")
                owner = self.value(node.child_by_field_name("object"), scope)
                if node.type == "member_expression":
                    return self.member(owner, text(node.child_by_field_name("property")), node)
                return self.member(owner, self.value(node.child_by_field_name("index"), scope), node)
            case "ternary_expression":
                condition, yes, no = (self.value_of(node, it, scope) for it in ("condition", "consequence", "alternative"))
                return yes() if condition() else no()
            case "unary_expression":
                return not self.value(node.child_by_field_name("argument"), scope)
            case "binary_expression":
                return self.binary(node, scope)
            case "call_expression":
                return self.call(node, scope)
        raise self.error(node, f"{node.type} is not known to the tests")

    def value_of(self, node: Node, field_: str, scope: dict[str, Any]) -> Any:
        """A part's value, on demand: the branch not taken may name what is not deployed."""
        return lambda: self.value(node.child_by_field_name(field_), scope)

    def object(self, parts: list[Node], scope: dict[str, Any]) -> dict[str, Any]:
        """An object; null is as good as absent, as it is for ARM."""
        made: dict[str, Any] = {}
        for part in parts:
            key, value = part.named_children[0], self.value(part.named_children[-1], scope)
            key = self.value(key, scope) if key.type == "string" else text(key)
            if key in made:
                raise self.error(part, f"{key} is given twice")
            if value is not None:
                made[key] = value
        return made

    def string(self, node: Node, scope: dict[str, Any]) -> str:
        """A string with what is interpolated."""
        whole = ""
        for part in node.named_children:
            if part.type == "interpolation":
                whole += show(self.value(part.named_children[0], scope))
            elif part.type == "escape_sequence":
                whole += {"n": "\n", "r": "\r", "t": "\t"}.get(text(part)[1], text(part)[1])
            else:
                whole += text(part)
        return whole

    def member(self, owner: Any, key: Any, node: Node) -> Any:
        """`owner.key` or `owner[key]`."""
        if owner is None:
            raise self.error(node, f"{text(node)}: not deployed, as the condition stands")
        if isinstance(owner, Resource):
            if key == "id":
                return owner.id
            return owner.body["name"] if key == "name" else Runtime(f"«{owner.symbol}.{key}»")
        if isinstance(owner, Runtime):
            return Runtime(f"{owner}.{key}")
        if isinstance(owner, list) and isinstance(key, int) and key < len(owner):
            return owner[key]
        if isinstance(owner, dict) and key in owner:
            return owner[key]
        raise self.error(node, f"{text(node)}: there is no {key}")

    def binary(self, node: Node, scope: dict[str, Any]) -> Any:
        """An operator between two values; the logical ones stop early."""
        left, right = (self.value_of(node, it, scope) for it in ("left", "right"))
        match text(node.child_by_field_name("operator")):
            case "&&":
                return left() and right()
            case "||":
                return left() or right()
            case "+":
                return left() + right()
            case "-":
                return left() - right()
            case "*":
                return left() * right()
            case "/":
                return int(left() / right())
            case "==":
                return left() == right()
            case "!=":
                return left() != right()
            case other:
                raise self.error(node, f"operator {other} is not known to the tests")

    def call(self, node: Node, scope: dict[str, Any]) -> Any:
        """A function of Bicep's own."""
        name = text(node.child_by_field_name("function"))
        arguments = [self.value(it, scope) for it in node.child_by_field_name("arguments").named_children]
        functions = {
            "concat": lambda *lists: sum(lists, []),
            "empty": lambda it: len(it) == 0,
            "guid": lambda *of: str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(of))),
            "json": json.loads,
            "loadJsonContent": lambda it: json.loads((self.path.parent / it).read_text()),
            "loadTextContent": lambda it: (self.path.parent / it).read_text(),
            "max": max,
            "min": min,
            "replace": lambda whole, old, new: whole.replace(old, new),
            "resourceGroup": lambda: {"id": GROUP, "name": "group"},
            "string": show,
            "subscription": lambda: {"id": SUBSCRIPTION},
            "subscriptionResourceId": lambda type_, it: f"{SUBSCRIPTION}/providers/{type_}/{it}",
            "take": lambda whole, length: whole[:length],
            "toLower": str.lower,
            "uniqueString": lambda *of: hashlib.sha256("/".join(of).encode()).hexdigest()[:13],
        }
        if name not in functions:
            raise self.error(node, f"function {name} is not known to the tests")
        try:
            return functions[name](*arguments)
        except (TypeError, ValueError) as error:
            raise self.error(node, f"{name}: {error}") from error

    def where(self, node: Node) -> str:
        """File and line."""
        return f"{self.path.name}:{node.start_point.row + 1}"

    def error(self, node: Node, cause: str) -> BicepError:
        """An error at a place."""
        return BicepError(f"{self.where(node)}: {cause}")


def named(node: Node, type_: str) -> Node:
    """The first child of a type."""
    return next(it for it in node.named_children if it.type == type_)


def text(node: Node) -> str:
    """The source of a node."""
    return node.text.decode()


def show(value: Any) -> str:
    """A value as Bicep's `string` and interpolation write it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
