"""The reference is what the program does: flags, variables, codes, and the fields of what it writes."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import reference
from pages import DOCS
from program import BINARY, ORDER, environment, said, verbs

REFERENCE = DOCS / "reference"


def table(page: Path, heading: str) -> dict[str, str]:
    """The first table behind a heading that begins with these words: what its first column names, and its second."""
    text = page.read_text()
    start = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.M)
    rows = [re.split(r" *(?<!\\)\| *", it.strip().strip("|").strip()) for it in start[1].splitlines()]
    return {name: row[1] if len(row) > 1 else "" for row in rows for name in re.findall(r"`([^`]+)`", row[0]) or [row[0]]}


def of_flags(pattern: str) -> set[str]:
    return {it for path in verbs() for it in re.findall(pattern, said(*path, "--help"), re.M)}


class Flags(unittest.TestCase):
    def test_the_page_of_verbs_is_the_program_s_help(self):
        self.assertEqual(reference.PAGE.read_text(), reference.page(), "make docs-generated writes it anew")

    def test_each_variable_of_a_flag_is_on_the_page_of_variables_and_none_that_is_none(self):
        there = of_flags(r"\[env: (\w+)")
        shown = set(re.findall(r"`([A-Z][A-Z0-9_]+[A-Z0-9])`", (REFERENCE / "variables.md").read_text()))
        self.assertEqual(there - shown, set())
        # Read without a flag: the program refuses every other name that begins so.
        for name in {it for it in shown - there if it.startswith("LONGSHORE_")}:
            ran = subprocess.run([BINARY, "--version"], env=environment(**{name: ""}), capture_output=True, text=True)
            self.assertEqual(ran.returncode, 0, name)
            tried = [BINARY, "queue", "stats", "--queue", "file:./nix"]
            ran = subprocess.run(tried, env=environment(**{name: "x"}), capture_output=True, text=True, cwd="/tmp")
            self.assertNotIn("there is no variable", ran.stderr)

    def test_each_flag_of_run_is_on_its_page_or_that_of_grants_or_registries(self):
        there = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said("run", "--help"), re.M)) - {"--help", "--version"}
        pages = [REFERENCE / "run.md", REFERENCE / "grants.md", DOCS / "how-to/registry.md", DOCS / "how-to/faster.md"]
        pages += [DOCS / "how-to/storage.md", DOCS / "how-to/job.md", REFERENCE / "configuration.md"]
        shown = {it for page in pages for it in re.findall(r"`[^`]*?(--[a-z-]+)", page.read_text())}
        self.assertEqual(there - shown, set())

    def test_the_defaults_of_run_are_those_of_the_program(self):
        text, compared = said("run", "--help"), 0
        page = (REFERENCE / "run.md").read_text().replace("\\|", "/")
        for flags, defaults in re.findall(r"^\| (`--[^|]*?) \| ([^|]+?) \|", page, re.M):
            for flag, shown in zip(re.findall(r"--[a-z-]+", flags), defaults.split(", ")):
                # Up to the next flag.
                here = re.search(rf"^ +{flag} .*?(?=^ +(?:-\w, )?--|\Z)", text, re.M | re.S)
                stated = re.search(r"\[default: ([^\]\s]+)\]", here[0])
                if stated:
                    self.assertEqual(shown, stated[1], flag)
                    compared += 1
        self.assertGreater(compared, 12)

    def test_exit_codes_are_those_of_the_help(self):
        said_there = set(re.findall(r"^  (\d)  ", said("--help").partition("Exit codes:")[2], re.M))
        self.assertEqual(set(table(REFERENCE / "exit-codes.md", "code")), said_there)


class Written(unittest.TestCase):
    """What a run writes, in which messages end in each way that a run without faults has."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = Path(cls.folder.name)
        shutil.copy(ORDER, folder / "order.wasm")
        queue = ["--queue", "file:./orders"]
        said("queue", "create", *queue, cwd=folder)
        wishes = ("ok", "reject", "trap", "retry")
        said("send", *queue, *(json.dumps({"order_id": "o-1", "msg": it}) for it in wishes), cwd=folder)
        words = ["run", *queue, "--component", "order.wasm", "--max-dequeue", "2", "--retry-base", "1s", "--retry-cap", "1s"]
        ran = subprocess.run(
            [BINARY, *words, "--log-format", "json", "--output", "json"],
            cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        cls.summary = json.loads(ran.stdout)
        cls.lines = [json.loads(it) for it in ran.stderr.splitlines()]
        listed = said("poison", "list", "--all", *queue, "--output", "json", cwd=folder)
        cls.envelopes = [json.loads(it) for it in listed.splitlines()]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_summary_has_the_fields_of_its_page(self):
        self.assertEqual(list(self.summary), list(table(REFERENCE / "summary.md", "field")))
        parts = ("completed", "retried", "poisoned", "abandoned", "lease_lost")
        self.assertEqual(sum(self.summary[it] for it in parts), self.summary["received"])
        self.assertIn(self.summary["ended"], table(REFERENCE / "summary.md", "`ended`"))

    def test_an_envelope_has_the_fields_of_its_page(self):
        self.assertEqual(len(self.envelopes), 3)
        fields = list(table(REFERENCE / "poison-envelope.md", "field"))
        sometimes = {"component", "execution", "attempt", "log", "expires", "properties"}
        for it in self.envelopes:
            self.assertEqual([key for key in fields if key in it], list(it))
            self.assertLessEqual(set(fields) - set(it), sometimes)
            self.assertIn(it["reason"], table(REFERENCE / "poison-envelope.md", "reason"))

    def test_lines_of_the_log_have_the_fields_of_their_page(self):
        page = (REFERENCE / "logs.md").read_text()
        named = set(re.findall(r"`([a-z_]+)`", page)) | set(table(REFERENCE / "summary.md", "field"))
        for line in self.lines:
            self.assertLessEqual({"timestamp", "level", "target"}, set(line))
            self.assertLessEqual(set(line), named, line)
        ends = [it for it in self.lines if "outcome" in it]
        self.assertEqual({it["outcome"] for it in ends}, {"completed", "retried", "poisoned"})
        keys = {"message_id", "dequeue_count", "outcome", "ms"}
        self.assertTrue(all(keys <= set(it) for it in ends))


if __name__ == "__main__":
    unittest.main()
