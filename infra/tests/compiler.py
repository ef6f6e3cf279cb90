"""Microsoft's Bicep compiler. One process answers every question: a start takes seconds, an answer a moment."""

import functools
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

INFRA = Path(__file__).parent.parent
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
MISSING = "bicep is not on PATH: `az bicep install` and ~/.azure/bin, or a release of github.com/Azure/bicep, 0.49.2 or later"

# What azd gives at least.
AZD = {"AZURE_ENV_NAME": "long-shore", "AZURE_LOCATION": "westeurope"}


class Refused(Exception):
    """What the compiler or its engine says about a deployment that cannot be."""


class Compiler:
    """A compiler that sees these variables beside those of the environment and of azd.

    It speaks the protocol of `bicep jsonrpc`, whose messages are declared in the compiler's sources:
    https://github.com/Azure/bicep/blob/main/src/Bicep.Cli/Rpc/ICliJsonRpcProtocol.cs
    """

    def __init__(self, **variables: str):
        # A test of templates without the compiler would be none, so that it fails where there is none.
        assert shutil.which("bicep"), MISSING
        # It does not live long enough to gain by measuring itself: without that it takes half the time.
        environment = os.environ | AZD | {"DOTNET_TieredPGO": "0"} | variables
        self.process = subprocess.Popen(["bicep", "jsonrpc", "--stdio"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.asked = 0
        self.turn = threading.Lock()

    def __enter__(self) -> "Compiler":
        return self

    def __exit__(self, *_: object) -> None:
        # It ends when nobody can ask any more.
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def ask(self, method: str, path: Path, **parameters: Any) -> dict:
        """The answer to one question about a file."""
        with self.turn:
            self.asked += 1
            body = json.dumps({"jsonrpc": "2.0", "id": self.asked, "method": f"bicep/{method}", "params": {"path": str(path), **parameters}})
            self.process.stdin.write(f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
            self.process.stdin.flush()
            answer = self.answer()
        assert answer["id"] == self.asked
        if "error" in answer:
            raise Refused(answer["error"]["message"])
        return answer["result"]

    def answer(self) -> dict:
        length = 0
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the compiler ended"
        return json.loads(self.process.stdout.read(length))

    def findings(self, file: Path) -> list[str]:
        """What the linter says about a file and all that it uses, each with its place."""
        return findings(self.ask("compile", file))

    def built(self, file: Path) -> dict:
        """A template as Azure gets it, or a file of parameters. A warning is a mistake: the service ignores what it does not know."""
        answer = self.ask("compile", file)
        if said := findings(answer):
            raise Refused("\n".join(said))
        return json.loads(answer["contents"])

    def formatted(self, file: Path) -> str:
        """A file as the formatter would write it."""
        return self.ask("format", file)["contents"]

    def predicted(self, file: Path) -> str:
        """What a file of parameters makes of its template, as `bicep snapshot` writes it."""
        given = {"subscriptionId": SUBSCRIPTION, "location": "westeurope", "deploymentName": "test"}
        if "subscription.bicep'" not in file.read_text().partition("\n")[0]:
            given["resourceGroup"] = "rg-given"
        try:
            return self.ask("getSnapshot", file, metadata=given)["snapshot"]
        except Refused as refused:
            raise Refused("\n".join([str(refused), *self.findings(file)])) from None


def findings(answer: dict) -> list[str]:
    said = [f"{Path(it['source']).name}({it['range']['start']['line'] + 1}): {it['level']} {it['code']}: {it['message']}" for it in answer["diagnostics"]]
    return said if said or answer["success"] else ["it does not compile"]


@functools.cache
def compiler() -> Compiler:
    """The one that all share who need no variables of their own. It ends with this process."""
    return Compiler()
