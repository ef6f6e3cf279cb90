"""The `az` commands of azure.mk do what the templates do. A stand-in for `az` writes down what it is called with; no cloud has run them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from test_templates import INFRA, ROLES, deployed, event_job, grants, rule_of, variables_of

# A role of no meaning.
OTHER_ROLE = "00000000-1111-2222-3333-444444444444"

# Answers with what a test has put there for a command, else with one word, as lookups do.
STAND_IN = """#!/bin/sh
{ printf '%s\\037' "$@"; echo; } >> "$STAND_IN/calls"
if test -f "$STAND_IN/$1-$2-$3"; then cat "$STAND_IN/$1-$2-$3"; else echo "looked-up"; fi
"""


class Call(list):
    """The words of one call of `az`, without `az` itself."""

    def named(self, words: str) -> bool:
        return self[: len(words.split())] == words.split()

    def flag(self, name: str) -> str:
        assert f"--{name}" in self, f"no --{name} in {self}"
        return self[self.index(f"--{name}") + 1]

    def pairs(self, name: str) -> dict[str, str]:
        """The words `key=value` that follow a flag."""
        found = {}
        for it in self[self.index(f"--{name}") + 1 :]:
            if it.startswith("--"):
                break
            key, _, found[key] = it.partition("=")
        return found


@pytest.fixture
def az(tmp_path: Path):
    """Runs targets of make, and returns what `az` was called with."""
    program = tmp_path / "bin" / "az"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "STAND_IN": str(tmp_path)}

    def run(*arguments: str, file: Path = INFRA / "azure.mk", **answers: str) -> list[Call]:
        (tmp_path / "calls").write_text("")
        for name, answer in answers.items():
            (tmp_path / name.replace("_", "-")).write_text(answer)
        ran = subprocess.run(
            ["make", "--no-print-directory", "--file", file, "SUFFIX=x7", "JOB=long-shore", *arguments],
            cwd=INFRA.parent, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return [Call(it.split("\037")[:-1]) for it in (tmp_path / "calls").read_text().splitlines()]

    return run


def as_steps_name(text: str) -> str:
    """What the template calls it, with the suffix of the steps for the template's."""
    text = text.replace("«account.properties».primaryEndpoints.queue", "https://longshorex7.queue.core.windows.net/")
    return re.sub(r"(long-?shore-?)[0-9a-f]{13}", r"\1x7", text)


def one(calls: list[Call], words: str) -> Call:
    """The one call of a command."""
    found = [it for it in calls if it.named(words)]
    assert len(found) == 1, f"{len(found)} times az {words}"
    return found[0]


@pytest.mark.parametrize(
    ("make", "bicep"),
    [
        ([], {}),
        (["TIME_BUDGET_S=600", "GRACE_S=10"], {"timeBudgetSeconds": 600, "graceSeconds": 10}),
        (["CONCURRENCY=1", "HANDLING_MS=60000"], {"concurrency": 1, "handlingMs": 60_000}),
        (["BUSY_S=600", "TIME_BUDGET_S=60"], {"busySeconds": 600, "timeBudgetSeconds": 60}),
        (["LEASE=fixed", "MAX_DEQUEUE=3"], {"lease": "fixed", "maxDequeue": 3}),
        (["MAX_MESSAGES=100", "CPU=0.25"], {"maxMessages": 100, "cpu": "0.25"}),
        (["MAX_MESSAGES=5000", "CPU=1.5"], {"maxMessages": 5000, "cpu": "1.5"}),
        (["CPU=2.0", "HANDLER_MIB=64"], {"cpu": "2.0", "handlerMemoryMib": 64}),
        (["CPU=0.25", "HANDLER_MIB=4096"], {"cpu": "0.25", "handlerMemoryMib": 4096}),
        (["QUEUE_SERVICE=servicebus"], {"queueService": "servicebus"}),
    ],
)
def test_the_job_of_the_steps_is_the_job_of_the_template(az, make, bicep):
    call = one(az("azure-job", *make), "containerapp job create")
    job = event_job(deployed(**bicep))
    configuration = job["properties"]["configuration"]
    scale = configuration["eventTriggerConfig"]["scale"]
    assert int(call.flag("replica-timeout")) == configuration["replicaTimeout"]
    assert int(call.flag("replica-retry-limit")) == configuration["replicaRetryLimit"]
    assert int(call.flag("max-executions")) == scale["maxExecutions"]
    assert int(call.flag("polling-interval")) == scale["pollingInterval"]
    assert int(call.flag("min-executions")) == scale["minExecutions"]
    for number in ("parallelism", "replicaCompletionCount"):
        flag = re.sub("[A-Z]", lambda it: f"-{it[0].lower()}", number)
        assert int(call.flag(flag)) == configuration["eventTriggerConfig"][number]
    (container,) = job["properties"]["template"]["containers"]
    assert call.flag("container-name") == container["name"]
    assert {"cpu": float(call.flag("cpu")), "memory": call.flag("memory")} == container["resources"]
    assert call.flag("workload-profile-name") == job["properties"]["workloadProfileName"]
    rule = rule_of(deployed(**bicep))
    assert (call.flag("scale-rule-name"), call.flag("scale-rule-type")) == (rule["name"], rule["type"])
    assert call.flag("scale-rule-identity") == call.flag("mi-user-assigned") == call.flag("registry-identity")
    assert call.pairs("scale-rule-metadata") == {key: as_steps_name(it) for key, it in rule["metadata"].items()}
    said, meant = call.pairs("env-vars"), variables_of(job)
    assert said.pop("AZURE_CLIENT_ID") and meant.pop("AZURE_CLIENT_ID")
    meant["LONGSHORE_QUEUE"] = as_steps_name(meant["LONGSHORE_QUEUE"])
    assert said == meant


@pytest.mark.parametrize(
    ("make", "bicep"),
    [
        ([], {}),
        (["LEASE=fixed"], {"lease": "fixed"}),
        (["QUEUE_SERVICE=servicebus"], {"queueService": "servicebus"}),
        (["QUEUE_SERVICE=servicebus", f"SCALER_ROLE={OTHER_ROLE}"], {"queueService": "servicebus", "serviceBusScalerRole": OTHER_ROLE}),
    ],
)
def test_the_steps_grant_what_the_template_grants(az, make, bicep):
    names = {guid: name for name, guid in ROLES.items()} | {"Longshore queue worker longshorex7": "renewer"}
    granted = set()
    for it in az("azure", "OPERATOR=team", "OPERATOR_TYPE=Group", *make, role_definition_list=""):
        if it.named("role assignment create"):
            who = "people" if it.flag("assignee-object-id") == "team" else "worker"
            assert it.flag("assignee-principal-type") == {"people": "Group", "worker": "ServicePrincipal"}[who]
            role = it.flag("role")
            granted.add((who, names.get(role, role), " ".join(it.flag("scope").rsplit("/", 2)[1:])))
    template = grants(deployed(operatorPrincipalId="person", **bicep))
    assert granted == {(who, role, as_steps_name(scope)) for who, role, scope in template}


def test_rights_go_to_the_user_who_is_logged_in(az):
    calls = [it for it in az("azure-job-roles") if it.named("role assignment create")]
    assert calls and all((it.flag("assignee-object-id"), it.flag("assignee-principal-type")) == ("looked-up", "User") for it in calls)


def test_the_custom_role_of_the_steps_is_that_of_the_template(az):
    given = json.loads(one(az("azure-worker-roles", role_definition_list=""), "role definition create").flag("role-definition"))
    (role,) = deployed().of_type("Microsoft.Authorization/roleDefinitions")
    assert given["DataActions"] == role.body["properties"]["permissions"][0]["dataActions"]
    assert given["Actions"] == []


def test_the_service_bus_queue_of_the_steps_is_that_of_the_template(az):
    calls = az("azure", "QUEUE_SERVICE=servicebus", "MAX_DEQUEUE=8")
    deployment = deployed(queueService="servicebus", maxDequeue=8)
    (namespace,) = deployment.of_type("Microsoft.ServiceBus/namespaces")
    call = one(calls, "servicebus namespace create")
    assert {"name": call.flag("sku"), "tier": call.flag("sku")} == namespace.body["sku"]
    assert {
        "disableLocalAuth": call.flag("disable-local-auth") == "true",
        "minimumTlsVersion": call.flag("minimum-tls-version"),
    } == namespace.body["properties"]
    assert call.flag("name") == as_steps_name(namespace.body["name"])
    (queue,) = deployment.of_type("Microsoft.ServiceBus/namespaces/queues")
    call = one(calls, "servicebus queue create")
    assert {
        "lockDuration": call.flag("lock-duration"),
        "maxDeliveryCount": int(call.flag("max-delivery-count")),
        "deadLetteringOnMessageExpiration": call.flag("enable-dead-lettering-on-message-expiration") == "true",
    } == queue.body["properties"]
    assert not any(it.named("storage") for it in calls)


def test_the_manual_job_of_the_steps_differs_in_its_trigger_only(az):
    event, manual = [it for it in az("azure-job", "azure-job-manual") if it.named("containerapp job create")]
    assert (manual.flag("name"), manual.flag("trigger-type")) == ("long-shore-manual", "Manual")
    assert manual[manual.index("--resource-group") :] == event[event.index("--resource-group") :]


@pytest.mark.parametrize("sku", ["Standard_ZRS", "Standard_LRS"])
def test_the_storage_account_of_the_steps_is_that_of_the_template(az, sku):
    call = one(az("azure-storage", *([] if sku == "Standard_ZRS" else [f"STORAGE_SKU={sku}"])), "storage account create")
    (account,) = deployed(storageSku=sku).of_type("Microsoft.Storage/storageAccounts")
    assert (call.flag("kind"), call.flag("sku")) == (account.body["kind"], account.body["sku"]["name"])
    settings = account.body["properties"]
    # What the portal does; `az` cannot say it.
    assert settings.pop("defaultToOAuthAuthentication") is True
    assert settings == {
        "allowSharedKeyAccess": call.flag("allow-shared-key-access") == "true",
        "allowBlobPublicAccess": call.flag("allow-blob-public-access") == "true",
        "minimumTlsVersion": call.flag("min-tls-version"),
        "supportsHttpsTrafficOnly": call.flag("https-only") == "true",
    }


def test_registry_and_logs_of_the_steps_are_those_of_the_template(az):
    calls, deployment = az("azure"), deployed()
    call = one(calls, "acr create")
    (registry,) = deployment.of_type("Microsoft.ContainerRegistry/registries")
    assert call.flag("name") == as_steps_name(registry.body["name"])
    assert call.flag("sku") == registry.body["sku"]["name"]
    # `az` makes none to which anybody may come.
    assert registry.body["properties"] == {"adminUserEnabled": call.flag("admin-enabled") == "true", "anonymousPullEnabled": False}
    (workspace,) = deployment.of_type("Microsoft.OperationalInsights/workspaces")
    call = one(calls, "monitor log-analytics workspace create")
    assert int(call.flag("retention-time")) == workspace.body["properties"]["retentionInDays"]
    assert call.flag("workspace-name") == workspace.body["name"]
    (environment,) = deployment.of_type("Microsoft.App/managedEnvironments")
    call = one(calls, "containerapp env create")
    assert call.flag("name") == environment.body["name"]
    assert call.flag("logs-destination") == environment.body["properties"]["appLogsConfiguration"]["destination"]
    (settings,) = deployment.of_type("Microsoft.Insights/diagnosticSettings")
    call = one(calls, "monitor diagnostic-settings create")
    assert json.loads(call.flag("logs")) == settings.body["properties"]["logs"]


@pytest.mark.parametrize("email", ["", "people@example.com"])
def test_the_alerts_of_the_steps_are_those_of_the_template(az, email):
    calls = az("azure-alert", f"ALERT_EMAIL={email}")
    deployment = deployed(alertEmail=email)
    made = {
        it.flag("name"): (
            int(it.flag("severity")),
            f"PT{it.flag('window-size').upper()}",
            f"PT{it.flag('evaluation-frequency').upper()}",
            it.flag("condition"),
            it.pairs("condition-query")["failed"].replace("'", '"'),
            (it.flag("skip-query-validation"), it.flag("auto-mitigate")),
        )
        for it in calls
        if it.named("monitor scheduled-query create")
    }
    meant = {}
    for it in deployment.of_type("Microsoft.Insights/scheduledQueryRules"):
        properties = it.body["properties"]
        (criterion,) = properties["criteria"]["allOf"]
        meant[it.body["name"]] = (
            properties["severity"],
            properties["windowSize"],
            properties["evaluationFrequency"],
            f"count 'failed' >= {criterion['threshold']}",
            criterion["query"],
            (str(properties["skipQueryValidation"]).lower(), str(properties["autoMitigate"]).lower()),
        )
    assert made == meant
    people = deployment.of_type("Microsoft.Insights/actionGroups")
    told = [it for it in calls if it.named("monitor action-group create")]
    assert len(told) == len(people)
    for group, call in zip(people, told):
        assert (call.flag("name"), call.flag("short-name")) == (group.body["name"], group.body["properties"]["groupShortName"])
        assert email in call
    groups = {it.flag("action-groups").rpartition("/")[2] for it in calls if "--action-groups" in it}
    assert groups == {it.body["name"] for it in people}


def test_a_custom_role_that_is_there_is_not_made_again(az):
    assert not any(it.named("role definition create") for it in az("azure-worker-roles", role_definition_list="its-id\n"))


@pytest.mark.parametrize("targets", [["azure-worker-roles", "LEASE=fixed"], ["azure-remove"]])
def test_the_right_to_renew_goes_with_its_role(az, targets):
    calls = az(*targets, role_definition_list="role-1\n", role_assignment_list="/right-1\n/right-2\n")
    # That of the template is found by the same words.
    (role,) = deployed().of_type("Microsoft.Authorization/roleDefinitions")
    words = re.search(r"'(.*)'", one(calls, "role definition list").flag("query"))[1]
    assert words and role.body["properties"]["roleName"].startswith(words)
    assert "role-1" in one(calls, "role assignment list").flag("query")
    removed = [it for it in calls if "delete" in it]
    assert removed[0][:5] == ["role", "assignment", "delete", "--ids", "/right-1"] and removed[0][5] == "/right-2"
    assert removed[1].named("role definition delete") and removed[1].flag("name") == "role-1"
    # The group last: what is looked up is in it.
    assert removed[2:] == ([["group", "delete", "--name", "rg-long-shore"]] if "azure-remove" in targets else [])


def test_there_may_be_no_right_to_renew(az):
    calls = az("azure-role-remove", role_definition_list="")
    assert not any("delete" in it for it in calls)
    calls = az("azure-role-remove", role_definition_list="role-1\n", role_assignment_list="")
    assert [it[1] for it in calls if "delete" in it] == ["definition"]


def test_the_steps_run_in_an_order_in_which_each_finds_what_it_needs(az):
    calls = az("azure", role_definition_list="")
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
        first = [next(at for at, it in enumerate(calls) if it.named(words)) for words in (before, after)]
        assert first == sorted(first)


def test_what_only_extensions_of_az_know_is_installed_first(az):
    calls = az("azure")
    installed = {it.flag("name"): it for it in calls if it.named("extension add")}
    for asked, extension in [("--scale-rule-identity", "containerapp"), ("scheduled-query", "scheduled-query")]:
        first = next(it for it in calls if asked in it and not it.named("extension add"))
        assert calls.index(installed[extension]) < calls.index(first) and "--upgrade" in installed[extension]
    assert installed["containerapp"].flag("allow-preview") == "true"


def test_every_command_works_in_the_subscription_that_is_named(az):
    # The others name it in an id, or are no matter of a subscription.
    by_id = ("role assignment create", "rest", "monitor diagnostic-settings", "extension", "ad")
    for service, role in [("storage", "role-1\n"), ("storage", ""), ("servicebus", "")]:
        calls = az("azure", "azure-image-use", "azure-remove", "SUBSCRIPTION=theirs", f"QUEUE_SERVICE={service}", role_definition_list=role)
        for it in calls:
            assert any(it.named(words) for words in by_id) or it.flag("subscription") == "theirs", it
    assert not any("--subscription" in it for it in az("azure"))


def test_the_hook_of_azd_works_in_the_subscription_of_azd(az):
    hook = " ".join(re.search(r"run: >-\n(.*)", (INFRA / "azure.yaml").read_text(), re.S)[1].split())
    arguments = re.search(r"make --directory \.\. (azure-image [^&]*)&&", hook)[1]
    calls = az(*re.sub(r'"\$([A-Z_]+)"', lambda it: it[1].lower(), arguments).split())
    assert [it.named("acr build") for it in calls] == [True, False, False]
    assert all(it.flag("subscription") == "azure_subscription_id" for it in calls)


@pytest.mark.parametrize(
    "wrong", ["SUFFIX=", "SUFFIX=X7", "SUFFIX=0123456789abcdefg", "JOB=Orders", "JOB=7orders", "JOB=a--b", "JOB=a-", "QUEUE_SERVICE=sb", "LEASE=auto"]
)
def test_a_step_says_which_of_its_variables_is_wrong(wrong):
    ran = subprocess.run(["make", "azure-registry", "SUFFIX=x7", wrong], cwd=INFRA.parent, capture_output=True, text=True)
    assert ran.returncode != 0 and wrong.partition("=")[0] in ran.stderr


def test_tools_are_installed_where_cargo_builds(tmp_path):
    ran = subprocess.run(["make", "-n", "deny", f"CARGO_TARGET_DIR={tmp_path}"], cwd=INFRA.parent, capture_output=True, text=True, check=True)
    assert f"--root {tmp_path}/tools/" in ran.stdout and " target/tools" not in ran.stdout


# Each mistake is planted into a copy: (what stands there, what is planted, the test that has to fail, and what it is called with).
MISTAKES = [
    ("--allow-shared-key-access false", "--allow-shared-key-access true", test_the_storage_account_of_the_steps_is_that_of_the_template, "Standard_ZRS"),
    ("--sku $(STORAGE_SKU)", "--sku Standard_ZRS", test_the_storage_account_of_the_steps_is_that_of_the_template, "Standard_LRS"),
    ("--admin-enabled false", "--admin-enabled true", test_registry_and_logs_of_the_steps_are_those_of_the_template),
    ("--window-size 30m", "--window-size 10m", test_the_alerts_of_the_steps_are_those_of_the_template, ""),
    ("'failed' >= 3", "'failed' >= 4", test_the_alerts_of_the_steps_are_those_of_the_template, ""),
    ("actionGroups/$(JOB)-people", "actionGroups/$(JOB)", test_the_alerts_of_the_steps_are_those_of_the_template, "people@example.com"),
    ("--disable-local-auth true", "--disable-local-auth false", test_the_service_bus_queue_of_the_steps_is_that_of_the_template),
    ("$$(($(MAX_DEQUEUE) + 5))", "$(MAX_DEQUEUE)", test_the_service_bus_queue_of_the_steps_is_that_of_the_template),
    ("metadata namespace=", "metadata accountName=", test_the_job_of_the_steps_is_the_job_of_the_template, ["QUEUE_SERVICE=servicebus"], {"queueService": "servicebus"}),
    ("QUEUE_AT     = sb://", "QUEUE_AT     = https://", test_the_job_of_the_steps_is_the_job_of_the_template, ["QUEUE_SERVICE=servicebus"], {"queueService": "servicebus"}),
    ("$(MAX_MESSAGES) < $(TAKEN)", "$(MAX_MESSAGES) > $(TAKEN)", test_the_job_of_the_steps_is_the_job_of_the_template, ["MAX_MESSAGES=100"], {"maxMessages": 100}),
    ("$(CONCURRENCY) < $(FITTING)", "$(CONCURRENCY) > $(FITTING)", test_the_job_of_the_steps_is_the_job_of_the_template, [], {}),
    ("print 2 *", "print 4 *", test_the_job_of_the_steps_is_the_job_of_the_template, [], {}),
    ("$(PERSON) --role $(BUS_SENDER)", "$(WORKER) --role $(BUS_SENDER)", test_the_steps_grant_what_the_template_grants, ["QUEUE_SERVICE=servicebus"], {"queueService": "servicebus"}),
    ("--assignee-principal-type $(OPERATOR_TYPE)", "--assignee-principal-type User", test_the_steps_grant_what_the_template_grants, [], {}),
    ("$(if $(filter fixed,$(LEASE)),azure-role-remove)", "", test_the_right_to_renew_goes_with_its_role, ["azure-worker-roles", "LEASE=fixed"]),
    ("azure-remove: azure-role-remove", "azure-remove:", test_the_right_to_renew_goes_with_its_role, ["azure-remove"]),
    ("| grep -q .", "| grep -q never", test_a_custom_role_that_is_there_is_not_made_again),
    ("scheduled-query create --name", "scheduled-query create --subscription own --name", test_every_command_works_in_the_subscription_that_is_named),
    ("az acr build $(ON)", "az acr build", test_the_hook_of_azd_works_in_the_subscription_of_azd),
    ("azure-extensions azure-group", "azure-group azure-extensions", test_the_steps_run_in_an_order_in_which_each_finds_what_it_needs),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda it: it[1] or it[0])
def test_a_planted_mistake_is_found(az, tmp_path, mistake):
    there, planted, finds, *arguments = mistake
    whole = (INFRA / "azure.mk").read_text()
    assert there in whole
    copy = tmp_path / "azure.mk"
    copy.write_text(whole.replace(there, planted))
    with pytest.raises(AssertionError):
        finds(lambda *targets, **answers: az(*targets, file=copy, **answers), *arguments)
