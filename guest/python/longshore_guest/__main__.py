"""`python -m longshore_guest build handler.py -o handler.wasm`."""

import argparse
import sys
from pathlib import Path

from ._build import NEEDS, BuildFailed, build


def main(arguments: list[str] | None = None) -> None:
    """Makes a component of a handler."""
    parser = argparse.ArgumentParser(prog="longshore_guest", description="Make components of handlers in Python.")
    verbs = parser.add_subparsers(required=True, metavar="build")
    verb = verbs.add_parser("build", help="make a component of a module with a function that is decorated with @handler")
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
    chosen = parser.parse_args(arguments)
    try:
        build(chosen.source, chosen.output or chosen.source.with_suffix(".wasm"), paths=chosen.path, needs=chosen.needs)
    except BuildFailed as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
