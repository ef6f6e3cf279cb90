"""The `az` commands of azure.mk do what the templates do. `make -n` prints them; no cloud has run them."""

import json
import re
import subprocess

import pytest

from test_templates import INFRA, ROLES, deployed, event_job, rule_of, variables_of


def steps(*arguments: str) -> str:
    """What `make -n` would run, with continued lines joined."""
    ran = subprocess.run(
        ["make", "--no-print-directory", "-n", *arguments, "SUFFIX=x7", "JOB=long-shore", "OPERATOR=person"],
        cwd=INFRA.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.replace("\\\n", " ")


def command(name: str, *arguments: str) -> str:
    """The one command of a step that begins so."""
    (line,) = [it for it in steps(*arguments).splitlines() if it.startswith(name)]
    return line


def flag(line: str, name: str) -> str:
    return re.search(rf"--{name} (\S+)", line)[1]


@pytest.mark.parametrize(
    ("make", "bicep"),
    [
        ([], {}),
        (["TIME_BUDGET_S=600", "GRACE_S=10"], {"timeBudgetSeconds": 600, "graceSeconds": 10}),
        (["CONCURRENCY=1", "HANDLING_MS=60000"], {"concurrency": 1, "handlingMs": 60_000}),
        (["BUSY_S=600", "TIME_BUDGET_S=60"], {"busySeconds": 600, "timeBudgetSeconds": 60}),
        (["LEASE=fixed", "MAX_DEQUEUE=3"], {"lease": "fixed", "maxDequeue": 3}),
    ],
)
def test_the_job_of_the_steps_is_the_job_of_the_template(make, bicep):
    line = command("az containerapp job create", "azure-job", *make)
    job = event_job(deployed(**bicep))
    configuration = job["properties"]["configuration"]
    scale = configuration["eventTriggerConfig"]["scale"]
    assert int(flag(line, "replica-timeout")) == configuration["replicaTimeout"]
    assert int(flag(line, "replica-retry-limit")) == configuration["replicaRetryLimit"]
    assert int(flag(line, "max-executions")) == scale["maxExecutions"]
    assert int(flag(line, "polling-interval")) == scale["pollingInterval"]
    assert float(flag(line, "cpu")) == job["properties"]["template"]["containers"][0]["resources"]["cpu"]
    assert f"queueLength={rule_of(deployed(**bicep))['metadata']['queueLength']} " in line
    said = dict(re.findall(r"\b(LONGSHORE_\w+)=(\S+)", line))
    meant = variables_of(job)
    assert said.keys() == meant.keys() - {"AZURE_CLIENT_ID"}
    assert {key: it for key, it in said.items() if key != "LONGSHORE_QUEUE"} == {
        key: it for key, it in meant.items() if key in said and key != "LONGSHORE_QUEUE"
    }


@pytest.mark.parametrize("lease", ["renew", "fixed"])
def test_the_steps_grant_what_the_template_grants(lease):
    granted = [
        (re.search(r"--assignee-principal-type (\w+)", it)[1], re.search(r'--role "?(Longshore|[0-9a-f-]{36})', it)[1], it.rpartition("/")[2].rstrip('"'))
        for it in steps("azure-worker-roles", "azure-operator-roles", f"LEASE={lease}").splitlines()
        if it.startswith("az role assignment")
    ]
    handles = "Longshore" if lease == "renew" else ROLES["StorageQueueDataMessageProcessor"]
    reader, sender, processor = (ROLES[f"StorageQueueData{it}"] for it in ("Reader", "MessageSender", "MessageProcessor"))
    assert set(granted) == {
        ("ServicePrincipal", handles, "orders"),
        ("ServicePrincipal", reader, "orders"),
        ("ServicePrincipal", sender, "orders-poison"),
        ("User", sender, "orders"),
        ("User", reader, "orders"),
        ("User", reader, "orders-poison"),
        ("User", processor, "orders-poison"),
    }


def test_the_custom_role_of_the_steps_is_that_of_the_template():
    line = command("az role definition create", "azure-worker-roles")
    # As a shell would hand it on, but for the lookup in it.
    given = json.loads(re.sub(r"\$\([^)]*\)", "group", re.search(r'--role-definition "(.*)"$', line)[1].replace('\\"', '"')))
    (role,) = deployed().of_type("Microsoft.Authorization/roleDefinitions")
    assert given["DataActions"] == role.body["properties"]["permissions"][0]["dataActions"]
    assert given["Actions"] == []


def test_the_steps_run_in_an_order_in_which_each_finds_what_it_needs():
    names = [re.match(r"az ((?:[a-z][a-z-]* )+)", it)[1].strip() for it in steps("azure").splitlines() if it.startswith("az ")]
    for before, after in [
        ("extension add", "group create"),
        ("group create", "identity create"),
        ("identity create", "role assignment create"),
        ("storage account create", "rest"),
        ("rest", "role definition create"),
        ("monitor log-analytics workspace create", "monitor diagnostic-settings create"),
        ("containerapp env create", "monitor diagnostic-settings create"),
        ("acr build", "containerapp job create"),
        ("containerapp job create", "monitor scheduled-query create"),
    ]:
        assert names.index(before) < names.index(after)


def test_what_only_extensions_of_az_know_is_installed_first():
    lines = [it for it in steps("azure").splitlines() if it.startswith("az ")]
    installed = {flag(it, "name"): it for it in lines if it.startswith("az extension add")}
    for asked, extension in [("--scale-rule-identity", "containerapp"), ("az monitor scheduled-query", "scheduled-query")]:
        first = next(it for it in lines if asked in it)
        assert lines.index(installed[extension]) < lines.index(first) and "--upgrade" in installed[extension]
    assert "--allow-preview true" in installed["containerapp"]


def test_shell_takes_every_step():
    ran = subprocess.run(["sh", "-n"], input=steps("azure", "azure-servicebus", "azure-image-use", "azure-remove"), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_step_that_needs_a_name_of_its_own_says_so():
    ran = subprocess.run(["make", "azure-registry", "SUFFIX="], cwd=INFRA.parent, capture_output=True, text=True)
    assert ran.returncode != 0 and "SUFFIX" in ran.stderr
