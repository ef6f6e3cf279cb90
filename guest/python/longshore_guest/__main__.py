"""`longshore-build handler.py -o handler.wasm`, and the same as `python -m longshore_guest build`."""

import argparse
import sys
from pathlib import Path

from ._build import NEEDS, BuildFailed, build

_ABOUT = "Makes a component of a module with a function that is decorated with @handler."


def main() -> None:
    """`longshore-build`."""
    _build_as(argparse.ArgumentParser(prog="longshore-build", description=_ABOUT), sys.argv[1:])


def _module() -> None:
    """`python -m longshore_guest`, which names what it does."""
    parser = argparse.ArgumentParser(prog="python -m longshore_guest", description="Make components of handlers in Python.")
    verbs = parser.add_subparsers(required=True, metavar="build")
    _build_as(verbs.add_parser("build", help=_ABOUT), sys.argv[1:], parser)


def _build_as(verb: argparse.ArgumentParser, arguments: list[str], parser: argparse.ArgumentParser | None = None) -> None:
    verb.add_argument("source", type=Path, metavar="handler.py")
    verb.add_argument("-o", "--output", type=Path, help="the component (default: beside the source, as .wasm)")
    verb.add_argument("-p", "--path", type=Path, action="append", default=[], help="a folder with more modules")
    verb.add_argument(
        "--needs",
        choices=sorted(NEEDS),
        action="append",
        default=[],
        help="what the handler imports in a way that cannot be seen in its source",
    )
    chosen = (parser or verb).parse_args(arguments)
    try:
        build(chosen.source, chosen.output or chosen.source.with_suffix(".wasm"), paths=chosen.path, needs=chosen.needs)
    except BuildFailed as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _module()
