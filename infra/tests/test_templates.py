"""What the templates promise. No Bicep compiler and no cloud has run here: `bicep.py` says what these tests stand on."""

import json
import re
import shutil
from pathlib import Path

import pycep
import pytest

import appcontainers
import bicep

INFRA = Path(__file__).parent.parent
PYCEP = pycep.BicepParser()
FILES = sorted(INFRA.glob("**/*.bicep"))
HERE = {"name": "long-shore", "location": "westeurope"}
VARIANTS = {
    "as it comes": {},
    "fixed leases": {"lease": "fixed"},
    "with people": {"operatorPrincipalId": "11111111-2222-3333-4444-555555555555", "alertEmail": "people@example.com"},
    "limited": {"maxMessages": 100},
    "one zone": {"storageSku": "Standard_LRS", "operatorPrincipalId": "11111111-2222-3333-4444-555555555555", "operatorPrincipalType": "ServicePrincipal"},
    "Service Bus": {"queueService": "servicebus"},
    "Service Bus, another scaler role": {"queueService": "servicebus", "serviceBusScalerRole": "090c5cfd-751d-490a-894a-3ce6f1109419"},
}
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


def deployed(infra: Path = INFRA, **parameters) -> bicep.Deployment:
    return bicep.deploy(infra / "main.bicep", HERE | parameters)


def event_job(deployment: bicep.Deployment) -> dict:
    (job,) = [it.body for it in deployment.of_type("Microsoft.App/jobs") if it.body["name"] == HERE["name"]]
    return job


def rule_of(deployment: bicep.Deployment) -> dict:
    (rule,) = event_job(deployment)["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"]
    return rule


def variables_of(job: dict) -> dict[str, str]:
    (container,) = job["properties"]["template"]["containers"]
    return {it["name"]: it["value"] for it in container["env"]}


def grants(deployment: bicep.Deployment) -> set[tuple[str, str, str]]:
    """Every role assignment: who, which role, on what."""
    names = {guid: name for name, guid in ROLES.items()}
    names |= {it.body["name"]: "renewer" for it in deployment.of_type("Microsoft.Authorization/roleDefinitions")}
    found = set()
    for it in deployment.of_type("Microsoft.Authorization/roleAssignments"):
        role = it.body["properties"]["roleDefinitionId"].rpartition("/")[2]
        who = "worker" if "identity" in it.body["properties"]["principalId"] else "people"
        scope = it.body["scope"]
        found.add((who, names.get(role, role), f"{scope.type.rpartition('/')[2]} {scope.body['name']}"))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda it: it.name)
def test_two_parsers_take_every_file(path):
    bicep.parse(path)
    assert PYCEP.parse(file_path=path)


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_the_service_knows_every_property_of_its_resources(parameters):
    deployment = deployed(**parameters)
    ours = [it for it in deployment.resources if it.type.startswith("Microsoft.App/")]
    assert len(ours) == 3
    assert [finding for it in ours for finding in appcontainers.findings(it)] == []


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_no_two_resources_have_one_name(parameters):
    names = [(it.type, it.body["name"].lower()) for it in deployed(**parameters).resources]
    assert len(names) == len(set(names))


def test_role_ids_are_those_of_the_roles_they_are_called():
    assert json.loads((INFRA / "roles.json").read_text()) == ROLES
    steps = (INFRA / "azure.mk").read_text()
    assert set(GUID.findall(steps)) <= set(ROLES.values())
    for variable, role in [
        ("ACR_PULL", "AcrPull"),
        ("QUEUE_PROCESSOR", "StorageQueueDataMessageProcessor"),
        ("QUEUE_SENDER", "StorageQueueDataMessageSender"),
        ("QUEUE_READER", "StorageQueueDataReader"),
        ("BUS_RECEIVER", "AzureServiceBusDataReceiver"),
        ("BUS_SENDER", "AzureServiceBusDataSender"),
        ("JOBS_OPERATOR", "ContainerAppsJobsOperator"),
    ]:
        assert re.search(rf"^{variable}\s*:= (.*)$", steps, re.M)[1] == ROLES[role]


def test_no_template_names_a_role_by_a_bare_id_but_the_unverified_one():
    named = {guid for path in FILES for guid in GUID.findall(path.read_text())}
    assert named == {ROLES["AzureServiceBusDataReceiver"]}


WORKER = {("worker", "AcrPull", "registries longshore")}


def registry_cut(found: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Without what is unique about the registry's name."""
    return {(who, role, re.sub(r"^(registries longshore).*", r"\1", scope)) for who, role, scope in found}


def test_the_worker_may_do_what_it_does_on_its_queues_and_nothing_more():
    assert registry_cut(grants(deployed())) == WORKER | {
        ("worker", "renewer", "queues orders"),
        ("worker", "StorageQueueDataReader", "queues orders"),
        ("worker", "StorageQueueDataMessageSender", "queues orders-poison"),
    }


def test_with_fixed_leases_the_worker_may_not_write_messages():
    deployment = deployed(lease="fixed")
    assert registry_cut(grants(deployment)) == WORKER | {
        ("worker", "StorageQueueDataMessageProcessor", "queues orders"),
        ("worker", "StorageQueueDataReader", "queues orders"),
        ("worker", "StorageQueueDataMessageSender", "queues orders-poison"),
    }
    assert deployment.of_type("Microsoft.Authorization/roleDefinitions") == []
    assert variables_of(event_job(deployment))["LONGSHORE_LEASE"] == "fixed"
    # The end of the lease is the retry, and the run that made it waits for it.
    assert variables_of(event_job(deployment))["LONGSHORE_LINGER"] == "60s"


def test_on_service_bus_the_worker_may_receive_from_its_queue_only():
    assert registry_cut(grants(deployed(queueService="servicebus"))) == WORKER | {
        ("worker", "AzureServiceBusDataReceiver", "queues orders"),
    }
    (more,) = grants(deployed(**VARIANTS["Service Bus, another scaler role"])) - grants(deployed(queueService="servicebus"))
    assert more == ("worker", "090c5cfd-751d-490a-894a-3ce6f1109419", "queues orders")


def test_people_may_send_look_redrive_and_start_and_nothing_more():
    found = {it for it in grants(deployed(**VARIANTS["with people"])) if it[0] == "people"}
    assert {it[1:] for it in found} == {
        ("StorageQueueDataMessageSender", "queues orders"),
        ("StorageQueueDataReader", "queues orders"),
        ("StorageQueueDataReader", "queues orders-poison"),
        ("StorageQueueDataMessageProcessor", "queues orders-poison"),
        ("ContainerAppsJobsOperator", "jobs long-shore"),
        ("ContainerAppsJobsOperator", "jobs long-shore-manual"),
    }


def test_the_role_that_renews_has_three_actions():
    (role,) = deployed().of_type("Microsoft.Authorization/roleDefinitions")
    (permission,) = role.body["properties"]["permissions"]
    prefix = "Microsoft.Storage/storageAccounts/queueServices/queues/messages"
    assert permission["dataActions"] == [f"{prefix}/read", f"{prefix}/process/action", f"{prefix}/write"]
    assert permission["actions"] == permission["notActions"] == permission["notDataActions"] == []
    assert role.body["properties"]["assignableScopes"] == [bicep.GROUP]


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_there_is_no_secret_anywhere(parameters):
    for it in deployed(**parameters).resources:
        assert not re.search(r"connectionString|secret|password|sharedKey\"|listKeys|SharedAccess", json.dumps(it.body, default=str), re.I)


def test_keda_counts_and_the_image_is_pulled_by_identity():
    for parameters, type_, keys in [
        ({}, "azure-queue", {"accountName", "queueName", "queueLength"}),
        ({"queueService": "servicebus"}, "azure-servicebus", {"namespace", "queueName", "messageCount"}),
    ]:
        job = event_job(deployed(**parameters))
        rule = rule_of(deployed(**parameters))
        (identity,) = job["identity"]["userAssignedIdentities"]
        (registry,) = job["properties"]["configuration"]["registries"]
        assert rule["type"] == type_ and rule["identity"] == registry["identity"] == identity
        # KEDA's metadata are strings; other words of it, such as one that leaves out invisible messages, are not wanted.
        assert rule["metadata"].keys() == keys and all(isinstance(it, str) for it in rule["metadata"].values())
        assert "auth" not in rule
        assert "clientId" in variables_of(job)["AZURE_CLIENT_ID"]


def test_a_failed_execution_is_not_run_again():
    for job in deployed().of_type("Microsoft.App/jobs"):
        assert job.body["properties"]["configuration"]["replicaRetryLimit"] == 0


def test_the_manual_job_differs_in_its_trigger_only():
    event, manual = [it.body["properties"] for it in deployed().of_type("Microsoft.App/jobs")]
    assert event["template"] == manual["template"]
    assert event["configuration"].pop("triggerType") == "Event" and event["configuration"].pop("eventTriggerConfig")
    assert manual["configuration"].pop("triggerType") == "Manual" and manual["configuration"].pop("manualTriggerConfig")
    assert event == manual


@pytest.mark.parametrize("budget", [60, 1200, 86400])
@pytest.mark.parametrize("grace", [0, 20, 22])
def test_the_platform_never_ends_a_run_that_keeps_to_its_own_limits(budget, grace):
    job = event_job(deployed(timeBudgetSeconds=budget, graceSeconds=grace))
    said = variables_of(job)
    seconds = {key: int(said[f"LONGSHORE_{key}"].removesuffix("s")) for key in ("TIME_BUDGET", "GRACE")}
    assert seconds == {"TIME_BUDGET": budget, "GRACE": grace}
    # A receive in flight has 3 s, settlement 5 s; a minute is the least for pulling an image and starting.
    assert job["properties"]["configuration"]["replicaTimeout"] >= 60 + budget + grace + 3 + 5


def test_grace_and_settlement_fit_into_the_30_seconds_between_the_signals():
    assert deployed(graceSeconds=30 - 3 - 5)
    with pytest.raises(bicep.BicepError, match="maxValue"):
        deployed(graceSeconds=30 - 3 - 5 + 1)


@pytest.mark.parametrize(
    ("parameters", "length"),
    [
        # 6 at once fit into 1 GiB, two a second each, for 30 s.
        ({}, 360),
        ({"cpu": "2.0"}, 960),
        ({"handlerMemoryMib": 48}, 960),
        ({"handlingMs": 30_000}, 6),
        ({"concurrency": 1, "handlingMs": 60_000}, 1),
        # No longer than the time budget leaves: 60 s less the last deadline of 30 s.
        ({"busySeconds": 600, "timeBudgetSeconds": 60}, 360),
        ({"maxMessages": 100}, 100),
        ({"maxMessages": 5000}, 360),
    ],
)
def test_queue_length_is_what_one_execution_takes(parameters, length):
    assert rule_of(deployed(**parameters))["metadata"]["queueLength"] == str(length)
    assert rule_of(deployed(queueService="servicebus", **parameters))["metadata"]["messageCount"] == str(length)


@pytest.mark.parametrize("cpu", ["0.25", "0.5", "0.75", "1.0", "1.25", "1.5", "1.75", "2.0"])
@pytest.mark.parametrize("handler", [16, 128, 1024, 4096])
def test_no_more_handlers_are_asked_for_than_fit_into_the_containers_memory(cpu, handler):
    job = event_job(deployed(cpu=cpu, handlerMemoryMib=handler, concurrency=100))
    (container,) = job["properties"]["template"]["containers"]
    mebibytes = float(container["resources"]["memory"].removesuffix("Gi")) * 1024
    said = variables_of(job)
    at_once = int(said["LONGSHORE_CONCURRENCY"])
    assert said["LONGSHORE_MEMORY"] == str(handler)
    # What the host takes, and a handler beside its memory: host/longshore/src/memory.rs.
    assert at_once == 1 or 112 + at_once * (handler + 4) <= mebibytes
    assert at_once == 100 or 112 + (at_once + 1) * (handler + 4) > mebibytes


def test_every_variable_of_the_job_is_one_that_the_host_reads():
    said = variables_of(event_job(deployed(maxMessages=7))).keys() - {"AZURE_CLIENT_ID"}
    flags = "".join(it.read_text() for it in (INFRA.parent / "host/longshore/src").glob("cli/*.rs"))
    read = set(re.findall(r'env = "(LONGSHORE_\w+)"', flags + (INFRA.parent / "host/longshore/src/cli.rs").read_text()))
    assert said and said <= read


def test_a_job_without_a_limit_sets_none():
    assert "LONGSHORE_MAX_MESSAGES" not in variables_of(event_job(deployed()))


def test_shared_keys_passwords_and_anonymous_access_are_off():
    (account,) = deployed().of_type("Microsoft.Storage/storageAccounts")
    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
    (registry,) = deployed().of_type("Microsoft.ContainerRegistry/registries")
    assert registry.body["properties"] == {"adminUserEnabled": False, "anonymousPullEnabled": False}
    (namespace,) = deployed(queueService="servicebus").of_type("Microsoft.ServiceBus/namespaces")
    assert namespace.body["properties"]["disableLocalAuth"] is True


def test_service_bus_does_not_dead_letter_before_the_host_does():
    (queue,) = deployed(queueService="servicebus", maxDequeue=8).of_type("Microsoft.ServiceBus/namespaces/queues")
    assert queue.body["properties"]["maxDeliveryCount"] > 8


def test_console_and_system_logs_go_to_the_workspace():
    deployment = deployed()
    (environment,) = deployment.of_type("Microsoft.App/managedEnvironments")
    (settings,) = deployment.of_type("Microsoft.Insights/diagnosticSettings")
    assert environment.body["properties"]["appLogsConfiguration"] == {"destination": "azure-monitor"}
    assert settings.body["scope"] is environment
    assert {it["category"] for it in settings.body["properties"]["logs"] if it["enabled"]} == {
        "ContainerAppConsoleLogs",
        "ContainerAppSystemLogs",
    }


def test_people_are_told_of_three_failures_in_ten_minutes_and_of_one_that_took_long():
    deployment = deployed(alertEmail="people@example.com")
    (people,) = deployment.of_type("Microsoft.Insights/actionGroups")
    seen = []
    for alert in deployment.of_type("Microsoft.Insights/scheduledQueryRules"):
        properties = alert.body["properties"]
        (criterion,) = properties["criteria"]["allOf"]
        assert (criterion["timeAggregation"], criterion["operator"]) == ("Count", "GreaterThanOrEqual")
        assert 'JobName == "long-shore"' in criterion["query"]
        assert properties["enabled"] and properties["actions"]["actionGroups"] == [people.id]
        seen.append((alert.body["name"], criterion["threshold"], properties["windowSize"], properties["severity"]))
    assert seen == [("long-shore-failures", 3, "PT10M", 1), ("long-shore-failed", 1, "PT30M", 3)]
    assert people.body["properties"]["emailReceivers"][0]["emailAddress"] == "people@example.com"
    assert deployed().of_type("Microsoft.Insights/actionGroups") == []


def test_executions_that_take_their_whole_time_to_fail_keep_the_second_alert_raised():
    # An image that cannot be pulled, and a breaker that holds: one failure in such a time.
    timeout = event_job(deployed())["properties"]["configuration"]["replicaTimeout"]
    windows = [it.body["properties"]["windowSize"] for it in deployed().of_type("Microsoft.Insights/scheduledQueryRules")]
    minutes = [int(it.removeprefix("PT").removesuffix("M")) for it in windows]
    assert minutes[0] * 60 < timeout < minutes[1] * 60


def test_the_workbook_asks_for_what_the_host_logs():
    (workbook,) = deployed().of_type("Microsoft.Insights/workbooks")
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


@pytest.mark.parametrize("name", ["abc", "a-name-of-20-letters", "Orders_Dev", "orders.eu-2"])
def test_names_keep_to_their_limits(name):
    for parameters in VARIANTS.values():
        deployment = bicep.deploy(INFRA / "main.bicep", {"name": name, "location": "westeurope"} | parameters)
        for type_, pattern in {
            "Microsoft.App/jobs": r"[a-z](?!.*--)[a-z0-9-]{0,29}[a-z0-9]",
            "Microsoft.App/managedEnvironments": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
            "Microsoft.ContainerRegistry/registries": r"[a-zA-Z0-9]{5,50}",
            "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
            "Microsoft.ServiceBus/namespaces": r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{4,48}[a-zA-Z0-9]",
        }.items():
            for it in deployment.of_type(type_):
                assert re.fullmatch(pattern, it.body["name"]), it.body["name"]


def test_a_long_name_leaves_room_for_what_is_unique():
    def account(name: str) -> str:
        (made,) = bicep.deploy(INFRA / "main.bicep", HERE | {"name": name}).of_type("Microsoft.Storage/storageAccounts")
        return made.body["name"]

    long = account("a-name-of-20-letters")
    assert len(long) == 24 and long[:-13] == "anameof20le"
    assert long[-13:] != account("a-name-of-20-letterz")[-13:]


def test_names_that_nothing_can_be_called_are_refused_or_mended():
    for name in ("ab", "a-name-of-21-letters-"):
        with pytest.raises(bicep.BicepError, match="parameter name"):
            deployed(name=name)
    # One deployment, however it is written: resource groups know no capitals.
    names = [sorted(it.body["name"] for it in deployed(name=it).resources) for it in ("Orders_Dev", "orders-dev")]
    assert names[0] == names[1]


def filled_by_azd(**variables: str) -> dict:
    """What azd makes of main.parameters.json: `${NAME=default}` has a default, and a number may be written as a string, as azd's own
    provider for Bicep converts it (`armParameterFileValue`)."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    values = json.dumps({key: it["value"] for key, it in given.items()})
    filled = json.loads(re.sub(r"\$\{(\w+)(?:=([^}]*))?\}", lambda it: variables.get(it[1]) or it[2] or "", values))
    numbers = re.findall(r"^param (\w+) int\b", (INFRA / "main.bicep").read_text(), re.M)
    # Nothing for a parameter without a default of its own is asked for; with one, it is left to the template.
    return {key: int(it) if key in numbers else it for key, it in filled.items() if it != ""}


AZD = {"AZURE_ENV_NAME": "long-shore", "AZURE_LOCATION": "westeurope", "AZURE_PRINCIPAL_ID": "person"}


def test_azd_gives_every_parameter_and_the_default_that_it_has():
    filled = filled_by_azd(**AZD)
    assert bicep.deploy(INFRA / "main.bicep", filled).outputs["LONGSHORE_JOB_NAME"] == "long-shore"
    declared = bicep.Template(INFRA / "main.bicep", HERE)
    own = {"name", "location", "tags", "operatorPrincipalId"}
    assert filled.keys() | {"alertEmail"} == {it for it, node in declared.declarations.items() if node.type == "parameter_declaration"}
    assert {key: it for key, it in filled.items() if key not in own} == {key: declared.values[key] for key in filled.keys() - own}


@pytest.mark.parametrize(
    ("variables", "parameters"),
    [
        ({"LONGSHORE_HANDLING_MS": "100", "LONGSHORE_BUSY_SECONDS": "60"}, {"handlingMs": 100, "busySeconds": 60}),
        ({"LONGSHORE_CONCURRENCY": "4", "LONGSHORE_CPU": "1.0"}, {"concurrency": 4, "cpu": "1.0"}),
        ({"LONGSHORE_DEADLINE_SECONDS": "60", "LONGSHORE_MAX_MESSAGES": "9"}, {"deadlineSeconds": 60, "maxMessages": 9}),
        ({"LONGSHORE_TIME_BUDGET_SECONDS": "600", "LONGSHORE_GRACE_SECONDS": "10"}, {"timeBudgetSeconds": 600, "graceSeconds": 10}),
        ({"LONGSHORE_MAX_DEQUEUE": "3", "LONGSHORE_POLLING_SECONDS": "60"}, {"maxDequeue": 3, "pollingIntervalSeconds": 60}),
        ({"LONGSHORE_MAX_EXECUTIONS": "3", "LONGSHORE_STORAGE_SKU": "Standard_LRS"}, {"maxExecutions": 3, "storageSku": "Standard_LRS"}),
        (
            {"LONGSHORE_QUEUE_SERVICE": "servicebus", "LONGSHORE_SCALER_ROLE": ROLES["AzureServiceBusDataSender"]},
            {"queueService": "servicebus", "serviceBusScalerRole": ROLES["AzureServiceBusDataSender"]},
        ),
        ({"AZURE_PRINCIPAL_TYPE": "ServicePrincipal"}, {"operatorPrincipalType": "ServicePrincipal"}),
    ],
)
def test_a_variable_of_azd_sets_its_parameter(variables, parameters):
    filled = filled_by_azd(**AZD | variables)
    assert filled.items() >= parameters.items()
    by_hand = deployed(operatorPrincipalId="person", tags={"azd-env-name": "long-shore"}, **parameters)
    assert [it.body for it in bicep.deploy(INFRA / "main.bicep", filled).resources] == [it.body for it in by_hand.resources]


def test_the_readme_has_a_row_for_each_variable_of_azd():
    asked = set(re.findall(r"\$\{(LONGSHORE_\w+)", (INFRA / "main.parameters.json").read_text()))
    table = (INFRA.parent / "README.md").read_text().partition("| `azd env set` |")[2].partition("\n\n")[0]
    assert asked and asked <= set(re.findall(r"`(LONGSHORE_\w+)`", table))


def test_the_hook_of_azd_calls_steps_that_there_are_with_outputs_that_there_are():
    hook = (INFRA / "azure.yaml").read_text()
    steps = (INFRA / "azure.mk").read_text()
    for step in set(re.findall(r"\b(azure-[a-z-]+)\b", hook)) - {"azure-dev"}:
        assert re.search(rf"^{step}:", steps, re.M), step
    # The subscription is azd's own variable, all others are the template's.
    for output in set(re.findall(r"\$(?:\{)?([A-Z_]+)", hook)) - {"AZURE_SUBSCRIPTION_ID"}:
        assert output in deployed().outputs, output


# Each mistake is planted into a copy: (file, what stands there, what is planted, what has to be said).
MISTAKES = [
    ("modules/job.bicep", "replicaTimeout: replicaTimeout", "replicaTimeOut: replicaTimeout", "replicaTimeOut: unknown in JobConfiguration"),
    ("modules/job.bicep", "= startSeconds + timeBudgetSeconds + stopSeconds", "= '${startSeconds}${timeBudgetSeconds}${stopSeconds}'", "replicaTimeout: not int"),
    ("modules/job.bicep", "      replicaTimeout: replicaTimeout\n", "      notReplicaTimeout: replicaTimeout\n", "replicaTimeout: required"),
    ("modules/job.bicep", "triggerType: trigger", "triggerType: 'Events'", "'Events' is none of"),
    ("modules/job.bicep", "type: scaler, identity:", "type: scaler, identityy:", "identityy: unknown in JobScaleRule"),
    ("modules/job.bicep", "memory: memory[cpu]", "mem: memory[cpu]", "mem: unknown in ContainerResources"),
    ("modules/job.bicep", "cpu: json(cpu)", "cpu: cpu", "cpu: not float"),
    ("modules/job.bicep", "value: string(admitted)", "value: admitted", "value: not str"),
    ("modules/job.bicep", "type: 'UserAssigned'", "type: 'userassigned'", "'userassigned' is none of"),
    ("modules/job.bicep", "jobs@2026-07-01", "jobs@2023-05-01", "api-version"),
    ("modules/job.bicep", "environmentId: environmentId\n", "environmentId: environmentId\n    provisioningState: 'Succeeded'\n", "read-only"),
    ("modules/environment.bicep", "destination:", "destnation:", "destnation: unknown in AppLogsConfiguration"),
    ("modules/environment.bicep", "workloadProfiles: [", "workloadProfiles: 'Consumption' // [", "not Bicep"),
    ("modules/job.bicep", "name: 'longshore'\n", "name 'longshore'\n", "not Bicep"),
    ("modules/job.bicep", "min(busySeconds,", "min(busySecond,", "nothing is called busySecond"),
    ("modules/job.bicep", "memory[cpu]", "memory['3.0']", "there is no 3.0"),
    ("main.bicep", "    cpu: cpu\n", "    cpus: cpu\n", "has no parameter cpus"),
    ("main.bicep", "    lease: lease\n    maxExec", "    maxExec", "parameter lease is not given"),
    ("main.bicep", "    concurrency: concurrency\n", "    concurrency: string(concurrency)\n", "parameter concurrency is not of type int"),
    ("main.bicep", "? servicebusQueueUrl : storageQueueUrl", "? storageQueueUrl : servicebusQueueUrl", "not deployed"),
    ("main.bicep", "    sku: storageSku\n", "", "parameter sku is not given"),
    ("modules/alert.bicep", "rule.window\n", "rule.windows\n", "there is no windows"),
    ("main.bicep", "module logs 'modules/logs.bicep'", "module logs 'modules/log.bicep'", "there is no log.bicep"),
    ("main.bicep", "registry.outputs.server", "registry.outputs.loginServer", "there is no loginServer"),
    ("main.bicep", "var onServiceBus", "var unneeded = 1\nvar onServiceBus", "unneeded is never used"),
]


@pytest.mark.parametrize(("file", "there", "planted", "said"), MISTAKES, ids=[f"{file}: {said}" for file, _, _, said in MISTAKES])
def test_a_planted_mistake_is_found(tmp_path, file, there, planted, said):
    infra = tmp_path / "infra"
    shutil.copytree(INFRA, infra, ignore=shutil.ignore_patterns("tests"))
    whole = (infra / file).read_text()
    assert there in whole
    (infra / file).write_text(whole.replace(there, planted))
    try:
        ours = [it for it in deployed(infra).resources if it.type in appcontainers.MODELS]
        found = [finding for it in ours for finding in appcontainers.findings(it)]
    except bicep.BicepError as error:
        found = [str(error)]
    assert any(said in it for it in found), found
