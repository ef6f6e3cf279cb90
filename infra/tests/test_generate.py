"""What is made from the templates is what is committed: each prediction, the compiled template, the page's parameters."""

import json
import re
from pathlib import Path

import pytest

import generate
from generate import COMPILED, PAGE, generated
from compiler import INFRA, SUBSCRIPTION, compiler
from snapshot import VARIANTS, job_of, made_by, variables_of, variant

PREDICTIONS = [it.with_suffix(".snapshot.json") for it in sorted(VARIANTS.glob("*.bicepparam"))]


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    return generated()


@pytest.mark.parametrize("file", [*PREDICTIONS, COMPILED, PAGE], ids=lambda it: it.name)
def test_what_is_committed_is_what_the_templates_make(made, file):
    assert file.read_text().splitlines() == made[file].splitlines(), "`make infra-generated` writes it anew"


def test_each_prediction_has_its_variant(made):
    assert PREDICTIONS and set(VARIANTS.glob("*.json")) == set(PREDICTIONS)
    assert made.keys() == {*PREDICTIONS, COMPILED, PAGE}


@pytest.mark.parametrize(("there", "planted"), [('"minLength": 3', '"minLength": 4'), ('"alertEmail"', '"alertMail"'), ("The default is 16.", "The default is 17.")])
def test_a_change_of_the_template_changes_the_page(there, planted):
    text, page = COMPILED.read_text(), PAGE.read_text()
    assert there in text
    assert generate.on(page, json.loads(text)) == page
    assert generate.on(page, json.loads(text.replace(there, planted))) != page


def test_the_example_on_the_page_drains_a_queue_that_exists_and_makes_jobs_roles_and_alerts_only():
    example, _ = re.findall(r"```bicep\n(.*?)```", PAGE.read_text(), re.S)
    filled_in = example.replace("/subscriptions/…", f"/subscriptions/{SUBSCRIPTION}").replace("sha256:…", f"sha256:{'0' * 64}")
    assert "…" not in filled_in
    using, _, parameters = filled_in.partition("\n")
    deployment = made_by(INFRA.parent / using.split("'")[1], parameters, compiler())
    assert {it.type for it in deployment.resources} == {
        "Microsoft.App/jobs",
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.Authorization/roleDefinitions",
        "Microsoft.Insights/scheduledQueryRules",
        "Microsoft.Insights/workbooks",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
    }


def test_the_example_of_a_topic_makes_a_subscription_with_sessions_and_rules():
    _, example = re.findall(r"```bicep\n(.*?)```", PAGE.read_text(), re.S)
    deployment = made_by(INFRA / "main.bicep", f"param name = 'long-shore'\n{example}", compiler())
    (subscription,) = deployment.of_type("Microsoft.ServiceBus/namespaces/topics/subscriptions")
    assert subscription.body["properties"]["requiresSession"] is True
    assert [it.name.rpartition("/")[2] for it in deployment.of_type("Microsoft.ServiceBus/namespaces/topics/subscriptions/rules")] == ["$Default", "of-eu"]


def test_the_example_of_telemetry_makes_the_way_to_azure_monitor():
    (example,) = re.findall(r"```bicep\n(.*?)```", (INFRA.parent / "docs/how-to/monitor.md").read_text(), re.S)
    deployment = made_by(INFRA / "main.bicep", f"param name = 'long-shore'\n{example}", compiler())
    assert variables_of(job_of(deployment))["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
    assert deployment.of_type("Microsoft.Insights/dataCollectionRules")


def test_each_alert_is_on_the_page_that_explains_them():
    page = (INFRA.parent / "docs/how-to/monitor.md").read_text()
    told = {f"long-shore-{it}" for it in re.findall(r"^\| `JOB-([\w-]+)` \|", page, re.M)}
    made = {it.name for it in variant("servicebus").resources if it.type in ("Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts")}
    assert told == made and len(made) == 7


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(SystemExit, match="each has to be there once"):
        generate.on(PAGE.read_text().replace(generate.END, ""), json.loads(COMPILED.read_text()))


def test_the_compiled_template_names_no_version_of_the_compiler():
    assert "_generator" not in COMPILED.read_text()
    assert generate.unversioned({"a": [{"_generator": {}, "b": 1}]}) == {"a": [{"b": 1}]}


def test_types_defaults_and_limits_are_told():
    job = {
        "type": "object",
        "metadata": {"description": "A job."},
        "properties": {
            "queue": {"type": "string", "minLength": 3, "metadata": {"description": "Which one."}},
            "cpu": {"type": "string", "allowedValues": ["0.25", "0.5"], "nullable": True},
        },
    }
    named = {"$ref": "#/definitions/Job"}
    template = {
        "definitions": {"Job": job, "Seconds": {"type": "int", "minValue": 1, "maxValue": 9}},
        "parameters": {
            "jobs": {"type": "array", "items": named, "defaultValue": []},
            "grace": {"$ref": "#/definitions/Seconds", "defaultValue": 5, "metadata": {"description": "A | B"}},
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
        },
    }
    assert generate.parameters(template).splitlines() == [
        "| | type | default | |",
        "|---|---|---|---|",
        "| `jobs` | list of [`Job`](#job) | empty |  |",
        "| `grace` | int | `5` | A \\| B 1 to 9. |",
        "| `location` | string | worked out |  |",
        "",
        "#### Job",
        "",
        "A job.",
        "",
        "| | type | default | |",
        "|---|---|---|---|",
        "| `queue` | string | has to be given | Which one. At least 3 long. |",
        "| `cpu` | `'0.25'`, `'0.5'` |  |  |",
    ]
