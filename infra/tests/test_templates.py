"""What the templates promise, asked of what the compiler predicts: `snapshot.py`. No cloud has run here."""

import json
import re

import pytest

import appcontainers
import lint
from compiler import INFRA, Refused
from snapshot import GROUP, VARIANTS, Deployment, parsed, predicted

THEIRS = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-theirs/providers"
FILES = sorted(it for it in INFRA.glob("**/*.bicep") if ".venv" not in str(it))
NAMES = sorted(it.stem for it in VARIANTS.glob("*.bicepparam"))
# From Azure's list of built-in roles, by hand: roles.json is checked against it.
ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AzureServiceBusDataReceiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
    "AzureServiceBusDataSender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "ContainerAppsJobsOperator": "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b",
    "StorageQueueDataMessageProcessor": "8a0f0c08-91a1-4084-bc3d-661d67233fed",
    "StorageQueueDataMessageSender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "StorageQueueDataReader": "19e7f393-937e-4f77-808e-94535e297925",
}
GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
QUEUE_OF = "Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues"


def variant(name: str) -> Deployment:
    """What is committed; that it is what the templates make is a test of its own."""
    return parsed(json.loads((VARIANTS / f"{name}.snapshot.json").read_text()))


def job_of(deployment: Deployment, name: str = "long-shore") -> dict:
    (job,) = [it.body for it in deployment.of_type("Microsoft.App/jobs") if it.name == name]
    return job


def rule_of(job: dict) -> dict:
    (rule,) = job["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"]
    return rule


def variables_of(job: dict) -> dict[str, str]:
    (container,) = job["properties"]["template"]["containers"]
    return {it["name"]: it["value"] for it in container["env"]}


def grants(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Every role assignment: who, which role, on what."""
    names = {guid: name for name, guid in ROLES.items()}
    names |= {it.name: "renewer" for it in deployment.of_type("Microsoft.Authorization/roleDefinitions")}
    found = set()
    for it in deployment.of_type("Microsoft.Authorization/roleAssignments"):
        role = it.body["properties"]["roleDefinitionId"].rpartition("/")[2]
        principal, type_ = it.body["properties"]["principalId"], it.body["properties"]["principalType"]
        who = "worker" if "userAssignedIdentities" in principal else "people"
        assert type_ == "ServicePrincipal" or who == "people"
        scope = it.scope.partition("/providers/Microsoft.Authorization")[0]
        kind, thing = scope.rsplit("/", 2)[1:]
        # Without what is unique about a registry's name.
        found.add((who, names.get(role, role), f"{kind} {re.sub('^longshore.{13}$', 'longshore', thing)}"))
    return found


def test_linter_and_formatter_have_nothing_to_say():
    assert lint.said(lint.FILES) == []
    assert {*FILES, *VARIANTS.glob("*.bicepparam"), INFRA / "subscription.bicepparam"} == set(lint.FILES)


@pytest.mark.parametrize("name", NAMES)
def test_the_service_knows_every_property_of_its_resources(name):
    ours = [it for it in variant(name).resources if it.type in appcontainers.MODELS]
    assert len(ours) >= 2
    assert [finding for it in ours for finding in appcontainers.findings(it)] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_two_resources_have_one_name(name):
    names = [(it.type, it.scope.lower(), it.name.lower()) for it in variant(name).resources]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_secret_anywhere(name):
    for it in variant(name).resources:
        assert not re.search(r"connectionString|secret|password|sharedKey\"|listKeys|SharedAccess", json.dumps(it.body), re.I)


def test_role_ids_are_those_of_the_roles_they_are_called():
    assert json.loads((INFRA / "roles.json").read_text()) == ROLES


def test_no_template_names_a_role_by_a_bare_id_but_the_unverified_one():
    named = {guid for path in FILES for guid in GUID.findall(path.read_text())}
    assert named == {ROLES["AzureServiceBusDataReceiver"]}


PULL = ("worker", "AcrPull", "registries longshore")
ON_QUEUE = {
    PULL,
    ("worker", "renewer", "queues orders"),
    ("worker", "StorageQueueDataReader", "queues orders"),
    ("worker", "StorageQueueDataMessageSender", "queues orders-poison"),
}


@pytest.mark.parametrize("name", ["storage", "limited", "existing-workspace", "existing-identity", "existing-environment", "subnet", "subscription"])
def test_the_worker_may_do_what_it_does_on_its_queues_and_nothing_more(name):
    assert grants(variant(name)) == ON_QUEUE


def test_with_fixed_leases_the_worker_may_not_write_messages():
    deployment = variant("fixed")
    assert grants(deployment) == ON_QUEUE - {("worker", "renewer", "queues orders")} | {
        ("worker", "StorageQueueDataMessageProcessor", "queues orders"),
    }
    assert deployment.of_type("Microsoft.Authorization/roleDefinitions") == []
    assert variables_of(job_of(deployment))["LONGSHORE_LEASE"] == "fixed"
    # The end of the lease is the retry, and the run that made it waits for it.
    assert variables_of(job_of(deployment))["LONGSHORE_LINGER"] == "60s"


def test_on_service_bus_the_worker_may_receive_from_its_queue_only():
    assert grants(variant("servicebus")) == {PULL, ("worker", "AzureServiceBusDataReceiver", "queues orders")}
    (more,) = grants(variant("servicebus-scaler-role")) - grants(variant("servicebus"))
    assert more == ("worker", "090c5cfd-751d-490a-894a-3ce6f1109419", "queues orders")


PEOPLE = {
    ("StorageQueueDataMessageSender", "queues orders"),
    ("StorageQueueDataReader", "queues orders"),
    ("StorageQueueDataReader", "queues orders-poison"),
    ("StorageQueueDataMessageProcessor", "queues orders-poison"),
    ("ContainerAppsJobsOperator", "jobs long-shore"),
    ("ContainerAppsJobsOperator", "jobs long-shore-manual"),
}


@pytest.mark.parametrize("name", ["people", "one-zone", "existing-storage-queue"])
def test_people_may_send_look_redrive_and_start_and_nothing_more(name):
    assert {it[1:] for it in grants(variant(name)) if it[0] == "people"} == PEOPLE
    assert {it for it in grants(variant(name)) if it[0] == "worker"} == ON_QUEUE


def test_the_role_that_renews_has_three_actions():
    (role,) = variant("storage").of_type("Microsoft.Authorization/roleDefinitions")
    (permission,) = role.body["properties"]["permissions"]
    prefix = "Microsoft.Storage/storageAccounts/queueServices/queues/messages"
    assert permission["dataActions"] == [f"{prefix}/read", f"{prefix}/process/action", f"{prefix}/write"]
    assert permission["actions"] == permission["notActions"] == permission["notDataActions"] == []
    assert role.body["properties"]["assignableScopes"] == [GROUP]
    # By these words `make azure-role-remove` finds it.
    assert role.body["properties"]["roleName"].startswith("Longshore queue worker ")


def test_what_exists_is_not_changed_but_for_roles_on_the_one_queue_and_the_registry():
    for name, allowed in [
        ("existing-storage-queue", {f"{THEIRS}/{QUEUE_OF}/orders", f"{THEIRS}/{QUEUE_OF}/orders-poison"}),
        ("existing-servicebus-queue", {f"{THEIRS}/Microsoft.ServiceBus/namespaces/theirs/queues/Orders"}),
        ("existing-registry", {f"{THEIRS}/Microsoft.ContainerRegistry/registries/theirs"}),
        ("existing-environment", set()),
        ("existing-environment-without-logs", set()),
        ("existing-workspace", set()),
        ("existing-identity", set()),
        ("subnet", set()),
        ("everything-exists", {f"{THEIRS}/{QUEUE_OF}/orders", f"{THEIRS}/{QUEUE_OF}/orders-failed", f"{THEIRS}/Microsoft.ContainerRegistry/registries/theirs"}),
    ]:
        at_theirs = [it for it in variant(name).resources if it.scope.startswith("/subscriptions/11111111")]
        roles = {it.scope.partition("/providers/Microsoft.Authorization")[0] for it in at_theirs if it.type.endswith("/roleAssignments")}
        assert roles == allowed, name
        # A poison queue is made where that was asked for.
        others = [it.name for it in at_theirs if not it.type.endswith("/roleAssignments")]
        assert others == (["theirs/default/orders-poison"] if name == "existing-storage-queue" else []), name


def test_what_exists_is_not_made_a_second_time():
    for name, absent in [
        ("existing-storage-queue", "Microsoft.Storage/storageAccounts"),
        ("existing-servicebus-queue", "Microsoft.Storage/storageAccounts"),
        ("existing-registry", "Microsoft.ContainerRegistry/registries"),
        ("existing-environment", "Microsoft.App/managedEnvironments"),
        ("existing-environment", "Microsoft.OperationalInsights/workspaces"),
        ("existing-environment-without-logs", "Microsoft.OperationalInsights/workspaces"),
        ("existing-environment-without-logs", "Microsoft.Insights/scheduledQueryRules"),
        ("existing-environment-without-logs", "Microsoft.Insights/workbooks"),
        ("existing-workspace", "Microsoft.OperationalInsights/workspaces"),
        ("existing-identity", "Microsoft.ManagedIdentity/userAssignedIdentities"),
    ]:
        assert variant("storage").of_type(absent) and not variant(name).of_type(absent), name
    assert {it.type for it in variant("everything-exists").resources} == {
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.App/jobs",
        "Microsoft.Insights/workbooks",
        "Microsoft.Insights/scheduledQueryRules",
    }


def test_a_queue_of_somebody_elses_is_drained_and_counted_where_it_is():
    job = job_of(variant("existing-servicebus-queue"))
    assert rule_of(job)["type"] == "azure-servicebus"
    assert rule_of(job)["metadata"] | {"messageCount": ""} == {"namespace": "theirs", "queueName": "Orders", "messageCount": ""}
    assert variables_of(job)["LONGSHORE_QUEUE"] == "sb://theirs.servicebus.windows.net/Orders"


def test_in_a_subnet_the_environment_has_no_public_address():
    (environment,) = variant("subnet").of_type("Microsoft.App/managedEnvironments")
    network = environment.body["properties"]["vnetConfiguration"]
    assert network == {"infrastructureSubnetId": f"{THEIRS}/Microsoft.Network/virtualNetworks/theirs/subnets/jobs", "internal": True}


def test_an_environment_without_profiles_gets_none():
    assert "workloadProfileName" not in job_of(variant("existing-environment-without-logs"))["properties"]
    assert job_of(variant("storage"))["properties"]["workloadProfileName"] == "Consumption"


def test_who_may_not_assign_roles_gets_the_commands():
    assert not [it for it in variant("no-roles").resources if it.type.startswith("Microsoft.Authorization/")]
    queue, job = f"{GROUP}/providers/{QUEUE_OF}/orders", f"{GROUP}/providers/Microsoft.App/jobs/long-shore"
    asked = {
        "base": "long-shore",
        "renewRole": "",
        "scalerRole": ROLES["AzureServiceBusDataReceiver"],
        "registryId": f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/longshore",
        "queues": [{"id": queue, "poisonId": f"{queue}-poison", "lease": "renew"}],
        "outboxIds": [],
        "jobIds": [job, f"{job}-manual"],
        "workerPrincipalId": "the-worker",
        "operatorPrincipalId": "the-people",
        "operatorPrincipalType": "Group",
    }
    make, *assign = predicted("modules/grants.bicep", **asked, assignRoles=False).outputs["commands"]
    definition = json.loads(re.fullmatch(r"az role definition create --role-definition '(.*)'", make)[1])
    (role,) = variant("storage").of_type("Microsoft.Authorization/roleDefinitions")
    assert definition["DataActions"] == role.body["properties"]["permissions"][0]["dataActions"]
    assert (definition["Name"], definition["AssignableScopes"]) == (role.body["properties"]["roleName"], [GROUP])
    found = set()
    names = {guid: name for name, guid in ROLES.items()} | {definition["Name"]: "renewer"}
    for it in assign:
        who, type_, said, scope = re.fullmatch(
            r'az role assignment create --assignee-object-id the-(\w+) --assignee-principal-type (\w+) --role "(.*)" --scope (.*)', it
        ).groups()
        assert type_ == {"worker": "ServicePrincipal", "people": "Group"}[who]
        found.add((who, names[said], " ".join(scope.rsplit("/", 2)[1:])))
    assert found == ON_QUEUE | {("people", *it) for it in PEOPLE}
    assert predicted("modules/grants.bicep", **asked, assignRoles=True).outputs["commands"] == []


def test_several_jobs_drain_their_queues_in_one_environment():
    deployment = variant("two-jobs")
    assert {it.name for it in deployment.of_type("Microsoft.App/jobs")} == {
        f"long-shore{job}{manual}" for job in ("", "-invoices", "-theirs") for manual in ("", "-manual")
    }
    assert len(deployment.of_type("Microsoft.App/managedEnvironments")) == 1
    first, second, third = (job_of(deployment, f"long-shore{it}") for it in ("", "-invoices", "-theirs"))
    assert [rule_of(it)["metadata"]["queueName"] for it in (first, second, third)] == ["orders", "invoices", "mails"]
    # What holds for all of them, but for those that say otherwise.
    cores = [it["properties"]["template"]["containers"][0]["resources"] for it in (first, second, third)]
    assert cores == [{"cpu": 1, "memory": "2Gi"}, {"cpu": 0.25, "memory": "0.5Gi"}, {"cpu": 1, "memory": "2Gi"}]
    assert grants(deployment) == ON_QUEUE | {
        ("worker", "StorageQueueDataMessageProcessor", "queues invoices"),
        ("worker", "StorageQueueDataReader", "queues invoices"),
        ("worker", "StorageQueueDataMessageSender", "queues invoices-poison"),
        ("worker", "AzureServiceBusDataReceiver", "queues mails"),
    }
    assert len(deployment.of_type("Microsoft.Insights/scheduledQueryRules")) == 6


def test_a_handler_of_ones_own_needs_no_edit():
    deployment = variant("own-handler")
    said = variables_of(job_of(deployment))
    assert said["LONGSHORE_COMPONENT"].startswith("oci://theirs.azurecr.io/handlers/order@sha256:")
    assert said["LONGSHORE_ALLOW_HTTP"] == "api.example.com\nhttp://intern:8080"
    assert said["LONGSHORE_ALLOW_PRIVATE"] == "10.1.0.0/16"
    assert sorted(said["LONGSHORE_CONFIG"].split("\n")) == ["currency=EUR", "region=eu"]
    assert (said["LONGSHORE_ENV"], said["LONGSHORE_OUTBOX_ENCODING"]) == ("TZ=UTC", "mails=base64")
    assert "mails=https://theirs.queue.core.windows.net/mails" in said["LONGSHORE_OUTBOX"] and "invoices" in said["LONGSHORE_OUTBOX"]
    assert (said["LONGSHORE_BREAKER"], said["LONGSHORE_HTTP_CALLS"], said["LONGSHORE_REQUIRE_DIGEST"]) == ("10", "5", "true")
    theirs = {("worker", "AcrPull", "registries theirs"), ("worker", "StorageQueueDataMessageSender", "queues invoices")}
    assert grants(deployment) == ON_QUEUE - {PULL} | theirs
    (registry,) = job_of(deployment)["properties"]["configuration"]["registries"]
    # A registry may have more in the name of its server than its own.
    assert registry["server"].startswith("[reference(") and "loginServer" in registry["server"]


def test_an_image_that_everybody_may_pull_needs_no_registry():
    deployment = variant("public-image")
    assert not deployment.of_type("Microsoft.ContainerRegistry/registries")
    assert job_of(deployment)["properties"]["configuration"]["registries"] == []
    assert grants(deployment) == ON_QUEUE - {PULL}


def test_a_poison_queue_may_be_called_otherwise():
    deployment = variant("everything-exists")
    assert variables_of(job_of(deployment))["LONGSHORE_POISON_QUEUE"].endswith("theirs.queue.core.windows.net/orders-failed")
    assert ("worker", "StorageQueueDataMessageSender", "queues orders-failed") in grants(deployment)
    assert "LONGSHORE_POISON_QUEUE" not in variables_of(job_of(variant("storage")))


def test_the_job_can_be_told_every_variable_of_the_run_and_no_other():
    sources = INFRA.parent / "host/longshore/src"
    texts = {it: it.read_text() for it in [*sources.glob("cli/*.rs"), sources / "cli.rs"]}
    read_ = {name for text in texts.values() for name in re.findall(r'env = "(LONGSHORE_\w+)"', text)}
    types, job = (INFRA / "types.bicep").read_text(), (INFRA / "modules/job.bicep").read_text()
    told = set(re.findall(r"^  (LONGSHORE_\w+): string\?$", types, re.M)) | set(re.findall(r"\b(LONGSHORE_\w+)\b", job))
    # A job ends: it neither waits for changes of a file, nor runs for ever, nor asks about jobs.
    assert read_ - told == {"LONGSHORE_ARM_ENDPOINT", "LONGSHORE_FOREVER", "LONGSHORE_JOB", "LONGSHORE_WATCH"}
    assert told <= read_


def test_each_default_is_what_its_description_says():
    types = (INFRA / "types.bicep").read_text()
    defaults = dict(re.findall(r"^  (\w+): (.*)$", types.partition("var defaults = {")[2].partition("\n}")[0], re.M))
    assert len(defaults) > 15
    words = {"[]": "none", "{}": "none"}
    for name, value in defaults.items():
        description = re.search(rf"@description\('((?:[^'\\]|\\.)*)'\)\n(?:  @.*\n)*  {name}: ", types)[1]
        assert description.endswith(f"The default is {words.get(value, value.strip(chr(39)))}."), name


def test_the_thin_template_passes_everything_on():
    def parameters(file: str) -> dict[str, str]:
        return {name: above for above, name in re.findall(r"((?:^@.*\n)+)param (\w+)", (INFRA / file).read_text(), re.M)}

    ours, theirs = parameters("main.bicep"), parameters("subscription.bicep")
    assert ours.keys() == theirs.keys()
    assert {it for it in ours if ours[it] != theirs[it]} == {"location"}
    deployment, within = variant("subscription"), variant("storage")
    (group,) = deployment.of_type("Microsoft.Resources/resourceGroups")
    assert group.name == "rg-long-shore"
    assert {it.type for it in deployment.resources} == {it.type for it in within.resources} | {group.type, "Microsoft.Insights/actionGroups"}


def test_keda_counts_and_the_image_is_pulled_by_identity():
    for name, type_, keys in [
        ("storage", "azure-queue", {"accountName", "queueName", "queueLength"}),
        ("servicebus", "azure-servicebus", {"namespace", "queueName", "messageCount"}),
    ]:
        job = job_of(variant(name))
        rule = rule_of(job)
        (identity,) = job["identity"]["userAssignedIdentities"]
        (registry,) = job["properties"]["configuration"]["registries"]
        assert rule["type"] == type_ and rule["identity"] == registry["identity"] == identity
        # KEDA's metadata are strings; other words of it, such as one that leaves out invisible messages, are not wanted.
        assert rule["metadata"].keys() == keys and all(isinstance(it, str) for it in rule["metadata"].values())
        assert "auth" not in rule
        assert "clientId" in variables_of(job)["AZURE_CLIENT_ID"]


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_execution_is_not_run_again(name):
    for job in variant(name).of_type("Microsoft.App/jobs"):
        assert job.body["properties"]["configuration"]["replicaRetryLimit"] == 0


def test_the_manual_job_differs_in_its_trigger_only():
    event, manual = [it.body["properties"] for it in variant("storage").of_type("Microsoft.App/jobs")]
    assert event["template"] == manual["template"]
    assert event["configuration"].pop("triggerType") == "Event" and event["configuration"].pop("eventTriggerConfig")
    assert manual["configuration"].pop("triggerType") == "Manual" and manual["configuration"].pop("manualTriggerConfig")
    assert event == manual


def each_as_a_job(cases: list[dict], **parameters) -> list[dict]:
    """Many jobs are one prediction: each with properties of its own, and a queue."""
    jobs = [{"name": f"n{at}", "queueName": f"queue{at}"} | it for at, it in enumerate(cases)]
    deployment = predicted(jobs=jobs, **parameters)
    return [job_of(deployment, f"long-shore-{it['name']}") for it in jobs]


def test_the_platform_never_ends_a_run_that_keeps_to_its_own_limits():
    cases = [{"timeBudgetSeconds": budget, "graceSeconds": grace} for budget in (60, 1200, 86400) for grace in (0, 20, 22)]
    for case, job in zip(cases, each_as_a_job(cases)):
        said = variables_of(job)
        seconds = {key: int(said[f"LONGSHORE_{key}"].removesuffix("s")) for key in ("TIME_BUDGET", "GRACE")}
        assert seconds == {"TIME_BUDGET": case["timeBudgetSeconds"], "GRACE": case["graceSeconds"]}
        # A receive in flight has 3 s, settlement 5 s; a minute is the least for pulling an image and starting.
        assert job["properties"]["configuration"]["replicaTimeout"] >= 60 + sum(seconds.values()) + 3 + 5


def test_grace_and_settlement_fit_into_the_30_seconds_between_the_signals():
    with pytest.raises(Refused, match="graceSeconds|22"):
        predicted(job={"graceSeconds": 30 - 3 - 5 + 1})


LENGTHS = [
    # 6 at once fit into 1 GiB, two a second each, for 30 s.
    ({}, 360),
    ({"cpu": "2.0"}, 960),
    ({"handlerMemoryMib": 48}, 960),
    ({"handlingMs": 30_000}, 6),
    ({"concurrency": 1, "handlingMs": 60_000, "deadlineSeconds": 60}, 1),
    # No longer than the time budget leaves: 60 s less the last deadline of 30 s.
    ({"busySeconds": 600, "timeBudgetSeconds": 60}, 360),
    ({"maxMessages": 100}, 100),
    ({"maxMessages": 5000}, 360),
]


@pytest.mark.parametrize(("service", "word"), [("storage", "queueLength"), ("servicebus", "messageCount")])
def test_queue_length_is_what_one_execution_takes(service, word):
    jobs = each_as_a_job([it for it, _ in LENGTHS], queueService=service)
    assert [rule_of(it)["metadata"][word] for it in jobs] == [str(it) for _, it in LENGTHS]


def test_no_more_handlers_are_asked_for_than_fit_into_the_containers_memory():
    cores = ["0.25", "0.5", "0.75", "1.0", "1.25", "1.5", "1.75", "2.0"]
    cases = [{"cpu": cpu, "handlerMemoryMib": it, "concurrency": 100} for cpu in cores for it in (16, 128, 1024) if 112 + it + 4 <= float(cpu) * 2048]
    assert len(cases) == 8 * 3 - 2
    for case, job in zip(cases, each_as_a_job(cases)):
        (container,) = job["properties"]["template"]["containers"]
        mebibytes = float(container["resources"]["memory"].removesuffix("Gi")) * 1024
        handler, said = case["handlerMemoryMib"], variables_of(job)
        at_once = int(said["LONGSHORE_CONCURRENCY"])
        assert mebibytes == float(case["cpu"]) * 2048 and said["LONGSHORE_MEMORY"] == str(handler)
        # What the host takes, and a handler beside its memory: host/longshore/src/memory.rs.
        assert 112 + at_once * (handler + 4) <= mebibytes
        assert at_once == 100 or 112 + (at_once + 1) * (handler + 4) > mebibytes


def test_a_job_without_a_limit_sets_none():
    assert "LONGSHORE_MAX_MESSAGES" not in variables_of(job_of(variant("storage")))
    assert variables_of(job_of(variant("limited")))["LONGSHORE_MAX_MESSAGES"] == "100"


def test_shared_keys_passwords_and_anonymous_access_are_off():
    (account,) = variant("storage").of_type("Microsoft.Storage/storageAccounts")
    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
    (registry,) = variant("storage").of_type("Microsoft.ContainerRegistry/registries")
    assert registry.body["properties"] == {"adminUserEnabled": False, "anonymousPullEnabled": False}
    (namespace,) = variant("servicebus").of_type("Microsoft.ServiceBus/namespaces")
    assert namespace.body["properties"]["disableLocalAuth"] is True


def test_service_bus_does_not_dead_letter_before_the_host_does():
    (queue,) = variant("servicebus").of_type("Microsoft.ServiceBus/namespaces/queues")
    said = variables_of(job_of(variant("servicebus")))["LONGSHORE_MAX_DEQUEUE"]
    assert queue.body["properties"]["maxDeliveryCount"] > int(said)


@pytest.mark.parametrize("name", ["storage", "existing-workspace"])
def test_console_and_system_logs_go_to_the_workspace(name):
    (environment,) = variant(name).of_type("Microsoft.App/managedEnvironments")
    (settings,) = variant(name).of_type("Microsoft.Insights/diagnosticSettings")
    assert environment.body["properties"]["appLogsConfiguration"] == {"destination": "azure-monitor"}
    assert settings.scope.startswith(environment.scope)
    workspace = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/long-shore-logs"
    assert settings.body["properties"]["workspaceId"] == (workspace if name == "storage" else f"{THEIRS}/Microsoft.OperationalInsights/workspaces/theirs")
    assert {it["category"] for it in settings.body["properties"]["logs"] if it["enabled"]} == {
        "ContainerAppConsoleLogs",
        "ContainerAppSystemLogs",
    }


def test_people_are_told_of_three_failures_in_ten_minutes_and_of_one_that_took_long():
    deployment = variant("people")
    (people,) = deployment.of_type("Microsoft.Insights/actionGroups")
    seen = []
    for alert in deployment.of_type("Microsoft.Insights/scheduledQueryRules"):
        properties = alert.body["properties"]
        (criterion,) = properties["criteria"]["allOf"]
        assert (criterion["timeAggregation"], criterion["operator"]) == ("Count", "GreaterThanOrEqual")
        assert 'JobName == "long-shore"' in criterion["query"]
        assert properties["enabled"] and properties["actions"]["actionGroups"] == [people.scope]
        seen.append((alert.name, criterion["threshold"], properties["windowSize"], properties["severity"]))
    assert seen == [("long-shore-failures", 3, "PT10M", 1), ("long-shore-failed", 1, "PT30M", 3)]
    assert people.body["properties"]["emailReceivers"][0]["emailAddress"] == "people@example.com"
    assert variant("storage").of_type("Microsoft.Insights/actionGroups") == []


def test_executions_that_take_their_whole_time_to_fail_keep_the_second_alert_raised():
    # An image that cannot be pulled, and a breaker that holds: one failure in such a time.
    timeout = job_of(variant("storage"))["properties"]["configuration"]["replicaTimeout"]
    windows = [it.body["properties"]["windowSize"] for it in variant("storage").of_type("Microsoft.Insights/scheduledQueryRules")]
    minutes = [int(it.removeprefix("PT").removesuffix("M")) for it in windows]
    assert minutes[0] * 60 < timeout < minutes[1] * 60


def test_the_workbook_asks_for_what_the_host_logs():
    (workbook,) = variant("storage").of_type("Microsoft.Insights/workbooks")
    page = workbook.body["properties"]["serializedData"]
    assert "JOB_NAME" not in page
    queries = [it["content"]["query"] for it in json.loads(page)["items"] if it["type"] == 3]
    assert queries and all("JobName == 'long-shore'" in it for it in queries)
    # What parse_json gives is of type dynamic, which `in` and isnotempty compare in ways of their own.
    assert re.findall(r"(\w*\(?)line\.", page) == ["tostring(" if it != "ms" else "tolong(" for it in re.findall(r"line\.(\w+)", page)]
    report = (INFRA.parent / "host/worker/src/report.rs").read_text()
    # The level and the text come from the logging library.
    for asked in set(re.findall(r"line\.(\w+)", page)) - {"level", "message"}:
        assert re.search(rf"\b{asked}\b", report), asked
    for outcome in re.findall(r"'([a-z-]+)'", re.search(r"tostring\(line\.outcome\) in \((.*?)\)", page)[1]):
        assert f'"{outcome}"' in report


NAMES_OF = {
    "Microsoft.App/jobs": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
    "Microsoft.App/managedEnvironments": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
    "Microsoft.ContainerRegistry/registries": r"[a-zA-Z0-9]{5,50}",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.ServiceBus/namespaces": r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{4,48}[a-zA-Z0-9]",
}


def misnamed(deployment: Deployment) -> list[str]:
    return [it.name for type_, pattern in NAMES_OF.items() for it in deployment.of_type(type_) if not re.fullmatch(pattern, it.name)]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_each_variant_keep_to_their_limits(name):
    assert misnamed(variant(name)) == []


@pytest.mark.parametrize("name", ["abc", "a-name-of-20-letters", "Orders_Dev", "orders.eu-2"])
@pytest.mark.parametrize("service", ["storage", "servicebus"])
def test_names_keep_to_their_limits(name, service):
    assert misnamed(predicted(name=name, queueService=service)) == []


def test_a_long_name_leaves_room_for_what_is_unique():
    def account(name: str) -> str:
        (made,) = predicted(name=name, queueService="storage").of_type("Microsoft.Storage/storageAccounts")
        return made.name

    long = account("a-name-of-20-letters")
    assert len(long) == 24 and long[:-13] == "anameof20le"
    assert long[-13:] != account("a-name-of-20-letterz")[-13:]


def test_a_name_is_one_deployment_however_it_is_written():
    names = [sorted(it.name for it in predicted(name=it, queueService="storage").resources) for it in ("Orders_Dev", "orders-dev")]
    assert names[0] == names[1]
