"""Which modules a module imports, as its source says it. Nothing is executed."""

import ast
from collections.abc import Iterator
from pathlib import Path


class Imports:
    """What is imported, and by that, from these folders. The standard library is in none of them.

    `modulefinder` does the same, but for packages without an `__init__.py`, on which it fails.
    """

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders
        self.modules: dict[str, list[Path]] = {}
        """The modules that were found, and for a package, the folders of its own modules."""

    def follow(self, source: Path, package: str) -> None:
        """Follows the imports of a file, which belongs to that package. Raises `SyntaxError`."""
        tree = ast.parse(source.read_bytes(), str(source))
        for name in _named(tree, package):
            self._find(name)

    def _find(self, name: str) -> list[Path] | None:
        if name in self.modules:
            return self.modules[name]
        parent, _, last = name.rpartition(".")
        folders = self._find(parent) if parent else self._folders
        if folders is None:
            return None
        for folder in folders:
            own, package = folder / f"{last}.py", folder / last / "__init__.py"
            file = package if package.is_file() else own
            if file.is_file():
                self.modules[name] = [package.parent] if file is package else []
                self._follow_package(file, name if file is package else parent)
                return self.modules[name]
        without_file = [folder / last for folder in folders if (folder / last).is_dir()]
        if not without_file:
            return None
        self.modules[name] = without_file
        return without_file

    def _follow_package(self, file: Path, package: str) -> None:
        try:
            self.follow(file, package)
        except SyntaxError:
            # A package may have files for another version of Python.
            if not any(folder in file.parents for folder in self._folders[:1]):
                return
            raise


def _named(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (it.name for it in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*(it for it in above if it), *([node.module] if node.module else [])])
            # What is named may be a module, or something in one.
            yield from (it for it in (base, *(f"{base}.{it.name}".removeprefix(".") for it in node.names)) if it)
