"""The packages for handlers as the registries of Rust, Python and JavaScript would have them: each is made, installed in a folder
outside of the repository, and the project of `examples/hello` is tested, built and invoked with it.

`make test-sdks` runs it. LONGSHORE_BINARY is the host.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
GUEST = REPOSITORY / "guest"
HOST = os.environ["LONGSHORE_BINARY"]
# What a project must not see: it stands alone.
HIDDEN = ("LONGSHORE_BINARY", "PYTHONPATH", "VIRTUAL_ENV", "NODE_PATH", "CARGO_TARGET_DIR")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in HIDDEN}


class Published(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="longshore-sdk-")))

    def run_in(self, folder: Path, *command: "str | Path", **variables: str) -> str:
        ran = subprocess.run(command, cwd=folder, env=ENVIRONMENT | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(ran.returncode, 0, f"{' '.join(map(str, command))}:\n{ran.stdout}")
        return ran.stdout

    def project(self, language: str) -> Path:
        ignored = shutil.ignore_patterns("target", "node_modules", ".venv", "__pycache__", "queues", "Cargo.lock", "package-lock.json")
        return Path(shutil.copytree(REPOSITORY / "examples/hello" / language, self.folder / language, ignore=ignored))

    def samples_end_as_they_should(self, project: Path, component: str, mismatch: str) -> None:
        self.run_in(project, HOST, "queue", "create", "--queue", "file:./queues/invoices")
        for sample, outcome, detail in [
            ("good", "completed", None),
            ("bad", "rejected", f"items[0].qty: {mismatch}"),
            ("retried", "retry", "the order has no items yet"),
        ]:
            grants = ["--config=currency=EUR", "--outbox=invoices=file:./queues/invoices"]
            command = [HOST, "invoke", "--output=json", "--log=off", f"--component={component}", *grants, f"--file=samples/{sample}.json"]
            ran = subprocess.run(command, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=False)
            ended = json.loads(ran.stdout)
            print(f"{project.name} {sample}: {ended['outcome']}, {ended['cpu_ms']} ms, {(project / component).stat().st_size} bytes")
            self.assertEqual((ended["outcome"], ended.get("detail")), (outcome, detail))
            if sample == "good":
                invoice = {"order_id": "o-1", "total_cents": 300, "currency": "EUR"}
                self.assertEqual(json.loads(ended["outbox"][0]["body"]), invoice)

    def test_the_crate_makes_a_handler(self) -> None:
        self.run_in(GUEST, "cargo", "package", "--allow-dirty", "--package", "longshore-guest")
        with tarfile.open(GUEST / "target/package/longshore-guest-0.1.0.crate") as crate:
            crate.extractall(self.folder, filter="data")
        project = self.project("rust")
        # The versions that this repository has tried. Cargo leaves out what the project has no need of.
        shutil.copy(GUEST / "Cargo.lock", project)
        patch = f"patch.crates-io.longshore-guest.path={json.dumps(str(self.folder / 'longshore-guest-0.1.0'))}"
        quickly = {"CARGO_PROFILE_TEST_OPT_LEVEL": "0"}
        self.assertIn("3 passed", self.run_in(project, "cargo", "--config", patch, "test", **quickly))
        self.run_in(project, "cargo", "--config", patch, "build", "--release", "--target", "wasm32-wasip2")
        self.samples_end_as_they_should(project, "target/wasm32-wasip2/release/hello.wasm", "expected u32, got string")

    def test_the_wheel_makes_a_handler(self) -> None:
        python = self.folder / "venv/bin/python"
        self.run_in(self.folder, sys.executable, "-m", "venv", "venv")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        self.run_in(self.folder, *pip, "wheel", "--no-deps", "--wheel-dir", self.folder, GUEST / "python")
        self.run_in(self.folder, *pip, "install", "--require-hashes", "-r", GUEST / "python/requirements.txt")
        project = self.project("python")
        self.run_in(project, *pip, "install", "--no-index", "--find-links", self.folder, "-r", "requirements.txt")
        self.run_in(project, *pip, "check")
        self.assertIn("Ran 3 tests", self.run_in(project, python, "-m", "unittest"))
        self.run_in(project, python, "-m", "longshore_guest", "build", "handler.py", "-o", "target/handler.wasm")
        self.samples_end_as_they_should(project, "target/handler.wasm", "expected int, got str")

    def test_the_npm_package_makes_a_handler_in_typescript_and_in_javascript(self) -> None:
        # `make` has compiled it.
        self.run_in(GUEST / "js", "npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", self.folder)
        package = self.folder / "longshore-guest-0.1.0.tgz"
        for language in ("typescript", "javascript"):
            with self.subTest(language):
                project = self.project(language)
                flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
                self.run_in(project, "npm", "install", *flags, package)
                self.assertIn("# pass 3", self.run_in(project, "npm", "test"))
                self.run_in(project, "npm", "run", "build")
                self.samples_end_as_they_should(project, "target/handler.wasm", "expected integer, got string")


if __name__ == "__main__":
    unittest.main(verbosity=2)
