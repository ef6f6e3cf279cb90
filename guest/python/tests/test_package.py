import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from longshore_guest import _build

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]


class Package(unittest.TestCase):
    def test_the_contract_in_the_package_is_that_of_the_repository(self):
        wit = _build.PACKAGE / "wit"
        for own, whole in [
            ("handler/handler.wit", "handler.wit"),
            ("config/store.wit", "deps/config/store.wit"),
            ("logging/logging.wit", "deps/logging/logging.wit"),
        ]:
            with self.subTest(own):
                self.assertEqual((wit / own).read_text(), (REPOSITORY / "wit" / whole).read_text(), "`make wit` copies it")

    def test_the_licence_in_the_package_is_that_of_the_repository(self):
        self.assertEqual((HERE.parent / "LICENSE").read_text(), (REPOSITORY / "LICENSE").read_text(), "`make wit` copies it")

    def test_a_component_imports_what_its_source_imports_and_nothing_else(self):
        folders = [HERE, _build.PACKAGE.parent]
        self.assertEqual(_build._needs(HERE / "http_probe.py", folders), {"http"})
        self.assertEqual(_build._needs(HERE / "test_handler.py", folders), {"config", "outbox", "session"})
        self.assertEqual(_build._needs(HERE / "session_probe.py", folders), {"session"})
        self.assertNotIn("outbox", _build._world({"http"}))

    def test_imports_are_followed_through_packages_with_and_without_a_file_of_their_own(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, source in {
                "handler.py": "import plain.inner\nfrom whole import used\nimport os, nowhere",
                "plain/inner.py": "from longshore_guest import outbox",
                "whole/__init__.py": "",
                "whole/used.py": "from . import beside",
                "whole/beside.py": "from longshore_guest.config import get",
                "whole/unused.py": "from longshore_guest import http",
            }.items():
                file = Path(folder, name)
                file.parent.mkdir(exist_ok=True)
                file.write_text(source)
            folders = [Path(folder), _build.PACKAGE.parent]
            self.assertEqual(_build._needs(Path(folder, "handler.py"), folders), {"config", "outbox"})

    def test_what_cannot_be_built_is_said_in_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            dashed = Path(folder, "my-handler.py")
            dashed.write_text("")
            for source, said in [(Path(folder, "nowhere.py"), "there is no file"), (dashed, "rename it")]:
                with self.subTest(said), self.assertRaisesRegex(_build.BuildFailed, said):
                    _build.build(source, source.with_suffix(".wasm"))

    def test_a_module_that_cannot_be_imported_is_said_with_its_own_traceback_and_cause(self):
        # As componentize-py 0.25.1 writes it.
        said = (
            "warning: site-packages directory not found\n"
            "Traceback (most recent call last):\n"
            '  File "<string>", line 1, in <module>\n'
            "AssertionError: Traceback (most recent call last):\n"
            '  File "/1/handler.py", line 1, in <module>\n'
            "    from longshore_guest import handler, get\n"
            "ImportError: cannot import name 'get'\n\n"
            "During handling of the above exception, another exception occurred:\n\n"
            "Traceback (most recent call last):\n"
            '  File "/1/handler.py", line 3, in <module>\n'
            "RuntimeError: no client\n\n\n"
            "Caused by:\n    RuntimeError: no client\n\n"
            "Stack backtrace:\n   0: <anyhow::Error>::msg\n"
        )
        told = _build._cause(said)
        self.assertTrue(told.startswith("the module cannot be imported:\nTraceback (most recent call last):\n  File \"/1/"), told)
        self.assertIn("ImportError: cannot import name 'get'", told)
        self.assertTrue(told.endswith("RuntimeError: no client"), told)
        for noise in ("AssertionError", "<string>", "anyhow", "Caused by"):
            self.assertNotIn(noise, told)
        plain = "Traceback (most recent call last):\n  File \"handler.py\", line 1\nNameError: x\n"
        self.assertTrue(_build._cause(plain).endswith("line 1\nNameError: x"), _build._cause(plain))
        self.assertEqual(_build._cause("no world"), "componentize-py failed:\nno world")

    def test_packages_of_the_user_are_seen_and_the_tool_has_one_name(self):
        with tempfile.TemporaryDirectory() as folder:
            for program, expected in [
                ("from longshore_guest import _build; print(*_build._installed())", folder),
                ("import sys; sys.argv = ['', '--help']; from longshore_guest.__main__ import main; main()", "usage: longshore-build "),
            ]:
                # A virtual environment looks at no packages of the user.
                python = getattr(sys, "_base_executable", sys.executable)
                environment = {"PYTHONUSERBASE": folder, "PYTHONPATH": str(_build.PACKAGE.parent)}
                said = subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout
                self.assertIn(expected, said)
        scripts = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["scripts"]
        self.assertEqual(scripts, {"longshore-build": "longshore_guest.__main__:main"})


if __name__ == "__main__":
    unittest.main()
