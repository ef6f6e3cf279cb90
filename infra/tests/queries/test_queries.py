"""Each query is one that Azure can answer, about what the host really logs."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

import queries
from queries import ROOT

BINARY = Path(os.environ.get("LONGSHORE_BINARY", ROOT / "target/debug/longshore"))
# `guest/order`, as it was built once: it does what a message asks for, and needs no compiler here.
COMPONENT = ROOT / "host/sandbox/tests/sandbox/contracts/handler-0.1.0.wasm"

ALL = queries.of_tree(ROOT)
# The column that has the name of the job in each.
WORKBOOKS = {"infra/workbook.json": "JobName", "infra/workbook-traces.json": "ServiceName"}


def test_every_query_is_parsed_with_the_columns_of_its_tables():
    wrong = {f"{it.file}: {it.text}": said for it, said in zip(ALL, queries.findings([it.text for it in ALL])) if said}
    assert not wrong


def test_no_query_is_overlooked():
    assert {it.file for it in ALL} >= {*WORKBOOKS, "infra/modules/alert.bicep", "docs/deploy.md"}
    for workbook in WORKBOOKS:
        shown = [it for it in json.loads((ROOT / workbook).read_text())["items"] if it["type"] == 3]
        assert len(shown) == len([it for it in ALL if it.file == workbook])
    for file in (ROOT / "infra").rglob("*.bicep"):
        text = file.read_text()
        categories = re.findall(rf"category: '({queries.MENTION.pattern})'", text)
        read = [it for it in queries.of_bicep(re.sub(r"\$\{\w+\}", "", text)) if queries.MENTION.search(it)]
        assert len(queries.MENTION.findall(text)) == len(categories) + sum(len(queries.MENTION.findall(it)) for it in read), file


def test_each_alert_has_a_query_that_is_read():
    text = (ROOT / "infra/modules/alert.bicep").read_text()
    asked, named = re.findall(r"^ +query: (\w+)$", text, re.M), dict(queries.BICEP_VARIABLE.findall(text))
    assert asked == ["failed", "failed", "onHold", "rejected", "poisoned", "waited"]
    read = queries.of_bicep(text)
    for it in asked:
        assert queries.of_bicep(f"'{queries.with_texts(named[it], named)}'")[0] in read
        # By a column that would be another one, an alert would be silent for ever.
        assert 'JobName == "x"' in queries.of_bicep(f"'{queries.with_texts(named[it], named)}'")[0]


def test_a_query_of_a_workbook_is_about_the_one_job():
    for workbook, column in WORKBOOKS.items():
        assert all(f"| where {column} == 'JOB_NAME'\n" in it.text for it in ALL if it.file == workbook)


# What parse_json gives is of type dynamic, which `in` and isnotempty compare in ways of their own.
@pytest.mark.parametrize("query", [it.text for it in ALL if queries.fields(it.text)])
def test_a_field_of_a_log_line_is_made_text_or_a_number_before_it_is_compared(query):
    (line,) = re.findall(r"(\w+) *= *parse_json\(Log\)", query)
    taken = re.findall(rf"(\w*)\(?\b{line}\.\w+", query)
    assert set(taken) <= {"tostring", "tolong"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> list[dict]:
    """The lines of runs in which messages end in each way that there is."""
    folder = tmp_path_factory.mktemp("queue")
    runs = [lines_of_a_drain, lines_of_a_stop, lines_of_a_stolen_lease, lines_of_an_open_breaker, lines_of_a_late_component]
    return [line for it in runs for line in it(folder)]


def longshore(folder: Path, *arguments: str) -> None:
    ran = subprocess.run([BINARY, *arguments], cwd=folder, env=clean(), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def clean() -> dict[str, str]:
    """The environment, without what would change a run."""
    return {key: it for key, it in os.environ.items() if not key.startswith("LONGSHORE_")}


def run(folder: Path, queue: str, *flags: str, messages: list[str], component: Path = COMPONENT) -> subprocess.Popen:
    """A run with the flags that the job has, over messages that say what shall become of them."""
    url = f"file:./{queue}"
    longshore(folder, "queue", "create", "--queue", url)
    longshore(folder, "send", "--queue", url, *(json.dumps({"order_id": "o-1", "msg": it}) for it in messages))
    words = [BINARY, "run", "--queue", url, "--component", component, "--log-format", "json", "--output", "json", *flags]
    return subprocess.Popen(words, cwd=folder, env=clean(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def lines(running: subprocess.Popen) -> list[dict]:
    _, said = running.communicate(timeout=120)
    # Behind the log the program says on its own what was wrong.
    return [json.loads(it) for it in said.splitlines() if not it.startswith("longshore: ")]


def once_received(folder: Path, statement: str = "SELECT 1 FROM message WHERE dequeue_count > 0") -> None:
    """Waits for a message to be in somebody's hands, and does something with it."""
    last = time.monotonic() + 60
    while time.monotonic() < last:
        with sqlite3.connect(folder / "queues.db", timeout=30) as database:
            done = database.execute(statement)
            if done.rowcount > 0 or done.fetchone():
                return
        time.sleep(0.05)
    pytest.fail("no message was received within a minute")


def lines_of_a_drain(folder: Path) -> list[dict]:
    return lines(run(folder, "drained", "--max-dequeue", "2", "--retry-base", "1s", messages=["ok", "reject", "retry", "trap"]))


def lines_of_a_stop(folder: Path) -> list[dict]:
    running = run(folder, "stopped", "--grace", "0s", messages=["sleep:20000"])
    once_received(folder, "SELECT 1 FROM message WHERE queue = 'stopped' AND dequeue_count > 0")
    running.send_signal(signal.SIGTERM)
    return lines(running)


def lines_of_a_stolen_lease(folder: Path) -> list[dict]:
    running = run(folder, "stolen", "--max-messages", "1", messages=["sleep:2000"])
    once_received(folder, "UPDATE message SET receipt = receipt + 1 WHERE queue = 'stolen' AND dequeue_count > 0")
    return lines(running)


def lines_of_an_open_breaker(folder: Path) -> list[dict]:
    return lines(run(folder, "failing", "--hold", "2s", messages=["retry"] * 6))


def lines_of_a_late_component(folder: Path) -> list[dict]:
    component = folder / "late.wasm"
    running = run(folder, "late", "--watch", messages=["ok"], component=component)
    time.sleep(2)
    part = folder / "late.part"
    part.write_bytes(COMPONENT.read_bytes())
    part.rename(component)
    return lines(running)


def test_the_host_writes_each_field_that_a_query_reads(logged):
    written = {field for it in logged for field in it}
    asked = {field for it in ALL for field in queries.fields(it.text)}
    assert {"outcome", "ms", "reason", "level", "age_ms", "dequeue_count", "reasons", "next_try_s", "held_s"} <= asked <= written


def test_a_run_that_holds_says_so_in_the_fields_of_the_alert(logged):
    on_hold = [it for it in logged if it.get("reasons") or it.get("next_try_s") is not None]
    # Of the breaker, and of the component that was not there. No other line raises the alert.
    assert [("breaker" in it["message"], "no component" in it["message"]) for it in on_hold] == [(True, False), (False, True)]
    assert on_hold[0]["reasons"] == "retry 5"


def test_a_rejected_message_is_poisoned_and_an_exhausted_one_is_not_rejected(logged):
    reasons = [it["reason"] for it in logged if it.get("outcome") == "poisoned"]
    assert reasons.count("rejected") == 1 and set(reasons) == {"rejected", "attempts-exhausted"}


def test_the_age_of_a_message_is_a_number_that_its_first_attempt_has_as_well(logged):
    ended = [it for it in logged if "outcome" in it]
    assert all(isinstance(it["age_ms"], int) and 0 <= it["age_ms"] < 60_000 for it in ended)
    assert {it["outcome"] for it in ended if it["dequeue_count"] == 1} >= {"completed", "retried", "poisoned", "abandoned"}
    # It waited for the component.
    (late,) = [it for it in ended if it["outcome"] == "completed" and it["age_ms"] >= 2000]
    assert late["ms"] < late["age_ms"]


def test_the_host_writes_each_outcome_that_a_query_compares_with(logged):
    written = {it["outcome"] for it in logged if "outcome" in it}
    assert written == {"completed", "retried", "poisoned", "abandoned", "lease-lost"}
    asked = {word for it in ALL for word in queries.outcomes(it.text)}
    assert asked and asked <= written


def test_the_table_of_failures_gets_what_it_shows(logged):
    (failures,) = [it.text for it in ALL if "take_any" in it.text and it.file == "infra/workbook.json"]
    failed = [it for it in logged if it.get("outcome") in queries.outcomes(failures)]
    assert {it["outcome"] for it in failed} == queries.outcomes(failures)
    assert all(it["message_id"] and it["level"] in ("INFO", "WARN") for it in failed)
    # Both are empty where nobody failed but the lease.
    assert all(it["reason"] and it["detail"] for it in failed if it["outcome"] in ("retried", "poisoned"))


def test_a_line_about_a_message_says_what_it_took_as_a_number(logged):
    assert all(isinstance(it["ms"], int) for it in logged if "outcome" in it)


# What stands in the workbook, and what a mistake makes of it.
@pytest.mark.parametrize(
    ("there", "planted", "said"),
    [
        ("latest = max(", "last = max(", "needs to be bracketed"),
        ("JobName ==", "JobNam ==", "'JobNam' does not refer"),
        ("summarize", "sumarize", "Query operator expected"),
        ("ContainerAppConsoleLogs\n", "ContainerAppConsoleLogs_CL\n", "does not refer to any known table"),
        ("TimeGenerated desc", "TimeGenerate desc", "'TimeGenerate' does not refer"),
        ("tolong(", "toolong(", "toolong"),
    ],
)
def test_a_planted_mistake_is_found_by_the_parser(there, planted, said):
    texts = [it.text.replace(there, planted) for it in ALL if there in it.text and it.file == "infra/workbook.json"]
    assert texts
    for found in queries.findings(texts):
        assert any(said in it for it in found), found


@pytest.mark.parametrize(("there", "planted"), [("line.age_ms", "line.age"), ("line.next_try_s", "line.next_try"), ("line.outcome", "line.result"), ("line.detail", "line.details"), ("line.ms", "line.took_ms")])
def test_a_field_that_nobody_writes_is_found(logged, there, planted):
    texts = [it.text.replace(there, planted) for it in ALL if there in it.text]
    written = {field for it in logged for field in it}
    assert texts and all(not queries.fields(it) <= written for it in texts)


def test_a_query_in_a_page_or_a_template_is_read(tmp_path):
    page = "Text.\n\n```kusto\nContainerAppSystemLogs\n| where Reson == 'x'\n```\n"
    template = "var it = 'ContainerAppSystemLogs | where JobName == \"${name}\" | take 1o'\n"
    for found in queries.findings(queries.of_markdown(page) + queries.of_bicep(template)):
        assert len(found) >= 1
