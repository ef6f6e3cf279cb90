"""Each language goes the whole way, as a user would: `longshore new`, native tests, `build`, `invoke`, a queue, a registry.

Projects lie outside of the repository, and their package is what a registry would have. `make test-sdks` runs this.
LONGSHORE_BINARY is the host.
"""

import json
import tempfile
import unittest
from pathlib import Path

import packages
from packages import Project, longshore, run

# What the reason for a rejection says of a field that does not fit, in the words of each language.
MISMATCH = {
    "rust": "expected u32, got string",
    "python": "expected int, got str",
    "typescript": "expected integer, got string",
    "javascript": "expected integer, got string",
}
INVOICE = {"order_id": "o-1", "total_cents": 300, "currency": "EUR"}
INVOICES = ("--queue", "file:./queues/invoices")


# Where crates are compiled, so that the next run of these tests finds them.
packages.ENVIRONMENT["CARGO_BUILD_BUILD_DIR"] = str(packages.REPOSITORY / "examples/target/projects")


class Published(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="longshore-sdk-")))

    def goes_the_whole_way(self, language: str) -> None:
        # A name that a crate's file writes in another way.
        project = Project(language, f"{language}-prices", self.folder)
        project.install(self.folder)
        project.test()
        built = longshore(project.folder, "build")
        print(f"{language}: built in {built['duration_ms']} ms, {built['bytes']} bytes")
        self.samples_end_as_they_should(project)
        longshore(project.folder, "queue", "create")
        longshore(project.folder, "queue", "create", *INVOICES)
        self.handles_a_message(project)
        with packages.registry(self.folder) as registry:
            address = longshore(project.folder, "push", f"oci://{registry}/handlers/{language}:1", "--precompiled")["address"]
            self.assertRegex(address, r"@sha256:[0-9a-f]{64}$")
            # All that the machine that runs it has: the project file, and the registry.
            (project.folder / built["component"]).unlink()
            self.handles_a_message(project, "--component", address, "--require-digest", "--cache-dir", str(self.folder / "cache"))
        peeked = run(project.folder, packages.HOST, "peek", *INVOICES, "--output=json", "--log=off").splitlines()
        self.assertEqual([json.loads(json.loads(it)["body"]) for it in peeked], [INVOICE, INVOICE])

    def samples_end_as_they_should(self, project: Project) -> None:
        for sample, code, outcome, detail in [
            ("good", 0, "completed", None),
            ("bad", 1, "rejected", f"items[0].qty: {MISMATCH[project.language]}"),
            ("retried", 1, "retry", "the order has no items yet"),
        ]:
            ended = longshore(project.folder, "invoke", "--file", f"samples/{sample}.json", ends=code)
            print(f"{project.language} {sample}: {ended['outcome']}, {ended['cpu_ms']} ms")
            self.assertEqual((ended["outcome"], ended.get("detail")), (outcome, detail))
            if sample == "good":
                self.assertEqual(json.loads(ended["outbox"][0]["body"]), INVOICE)

    def handles_a_message(self, project: Project, *flags: str) -> None:
        self.assertIn("id", longshore(project.folder, "send", "--file", "samples/good.json"))
        ended = longshore(project.folder, "run", *flags)
        self.assertEqual((ended["ended"], ended["received"], ended["completed"]), ("drained", 1, 1), ended)

    def test_the_crate_makes_a_handler_in_rust(self) -> None:
        packages.make("rust", self.folder)
        self.goes_the_whole_way("rust")

    def test_the_wheel_makes_a_handler_in_python(self) -> None:
        packages.make("python", self.folder)
        self.goes_the_whole_way("python")

    def test_the_npm_package_makes_a_handler_in_typescript(self) -> None:
        packages.make("typescript", self.folder)
        self.goes_the_whole_way("typescript")

    def test_the_npm_package_makes_a_handler_in_javascript(self) -> None:
        packages.make("javascript", self.folder)
        self.goes_the_whole_way("javascript")


if __name__ == "__main__":
    unittest.main(verbosity=2)
