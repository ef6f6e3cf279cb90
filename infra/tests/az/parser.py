"""Reads a command as the real `az` does, up to the point at which it would ask Azure."""

import contextlib
import io
import os
import tempfile

# It would write an index, and whom it has met, into the home of whoever runs the tests.
os.environ |= {"AZURE_CONFIG_DIR": tempfile.mkdtemp(prefix="az-"), "AZURE_CORE_COLLECT_TELEMETRY": "no"}

from azure.cli.core import CommandIndex, MainCommandsLoader, get_default_cli  # noqa: E402
from azure.cli.core.azclierror import AzCLIError  # noqa: E402
from azure.cli.core.commands.events import EVENT_INVOKER_PRE_LOAD_ARGUMENTS  # noqa: E402
from azure.cli.core.parser import AzCliCommandParser  # noqa: E402

# How `az deployment` reads what stands behind --parameters.
from azure.cli.command_modules.resource.custom import _process_parameters as process_parameters  # noqa: E402, F401

MISSING = "the following arguments are required: "
# What is left out of a command that people complete.
ELLIPSIS = "…"


# No command is made of so many modules.
MANY = 20


class Refused(Exception):
    """What `az` says about a command that it does not take."""


def refuse(_parser: AzCliCommandParser, message: str) -> None:
    raise Refused(message)


def refuse_value(error: AzCLIError) -> None:
    raise Refused(error.error_msg)


# What the index of az does not know is looked for in every module, most of which lack their clients here.
load_modules = MainCommandsLoader._load_modules
MainCommandsLoader._load_modules = lambda self, args, names: load_modules(self, args, names if len(names) < MANY else [])
CommandIndex.update = lambda self, table: None
# Both would print, and end the process.
AzCliCommandParser.error = refuse
AzCLIError.print_error = refuse_value


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command, given without `az` itself; None if nothing is.

    An ellipsis behind a flag is its value. Any other one stands for arguments that are required, and are not told.
    """
    said = [it for at, it in enumerate(words) if it != ELLIPSIS or words[at - 1].startswith("-")]
    try:
        parsed(said)
    except Refused as refused:
        told = str(refused)
        if len(said) == len(words) or not told.startswith(MISSING):
            return told
        flags = [it.split("/")[0] for it in told.removeprefix(MISSING).split(", ")]
        return complaint(said + [word for flag in flags for word in (flag, ELLIPSIS)])
    return None


def parsed(words: list[str]) -> None:
    """Does what `az` does with its arguments before it runs a command."""
    cli = get_default_cli()
    cli.invocation = az = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    loader = az.commands_loader
    # What az says on its way is nothing that a test asks about.
    with contextlib.redirect_stderr(io.StringIO()):
        table = loader.load_command_table(words)
        command = max((it for it in table if words[: len(it.split())] == it.split()), key=len, default=None)
        if command is None:
            raise Refused(f"there is no command `az {' '.join(words)}`, or requirements.in lacks its client")
        loader.command_name = az.data["command_string"] = command
        loader.command_table = {command: table[command]}
        # This adds `--subscription` to what works in one.
        cli.raise_event(EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
        loader.load_arguments(command)
        az.parser.cli_ctx = cli
        az.parser.load_command_table(loader)
        az.parser.parse_args(words)
    # Abbreviations hold until the next version of az has a second flag that begins so.
    known = az.parser.subparser_map[command]._option_string_actions
    for it in words:
        if it.startswith("--") and it.split("=")[0] not in known:
            raise Refused(f"there is no flag {it}")
