"""What `longshore new --azure` puts into a project, as the compiler and its engine see it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from compiler import INFRA, Compiler, Refused
from snapshot import job_of, parsed, variables_of

PROJECT = INFRA / "project"


@pytest.fixture
def project(tmp_path) -> Path:
    """The folder as it is generated: the compiled template lies beside the project's own."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    shutil.copy(INFRA / "azuredeploy.json", tmp_path / "infra/longshore.json")
    return tmp_path


def test_its_templates_compile_without_a_warning(project):
    with Compiler(HOST_IMAGE="registry.example/longshore:1") as compiler:
        assert compiler.findings(project / "infra/main.bicep") == []
        assert compiler.findings(project / "infra/main.bicepparam") == []


def test_it_makes_a_job_of_that_image_with_a_queue_to_send_to(project):
    with Compiler(HOST_IMAGE="registry.example/longshore:1") as compiler:
        given = {"subscriptionId": "00000000-0000-0000-0000-000000000000", "location": "westeurope", "deploymentName": "test"}
        said = compiler.ask("getSnapshot", project / "infra/main.bicepparam", metadata=given)["snapshot"]
    deployment = parsed(json.loads(said))
    for name in ("long-shore", "long-shore-manual"):
        job = job_of(deployment, name)
        assert job["properties"]["template"]["containers"][0]["image"] == "registry.example/longshore:1"
        variables = variables_of(job)
        # `longshore deploy` names the component, and takes the URL of this queue for the one of the project file.
        assert "LONGSHORE_COMPONENT" not in variables
        account = re.search(r"'(\w+)', environment\(\)\.suffixes\.storage, 'orders'\)", variables["LONGSHORE_QUEUE"])[1]
        assert "'invoices'" in variables["LONGSHORE_OUTBOX"]
        assert f"'{account}', environment().suffixes.storage, 'invoices')" in variables["LONGSHORE_OUTBOX"]
    queues = {it.name.rpartition("/")[2] for it in deployment.of_type("Microsoft.Storage/storageAccounts/queueServices/queues")}
    assert queues == {"orders", "orders-poison", "invoices"}


def test_without_the_image_of_a_host_it_says_which_variable_is_missing(project):
    with Compiler() as compiler, pytest.raises(Refused, match="HOST_IMAGE"):
        compiler.built(project / "infra/main.bicepparam")


def test_azd_sets_no_variable_that_the_host_would_take_for_a_misspelt_one():
    """The hook runs `longshore` with all variables of azd's environment: parameters and outputs."""
    known = {"LONGSHORE_JOB", "LONGSHORE_QUEUE"}
    for file in PROJECT.rglob("*.*"):
        assert set(re.findall(r"\bLONGSHORE_[A-Z_]+", file.read_text())) <= known, file
    assert "deploy --repository" in (PROJECT / "azure.yaml").read_text()
