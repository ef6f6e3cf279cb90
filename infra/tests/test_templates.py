"""What the templates promise, asked of what the compiler predicts: `snapshot.py`. No cloud has run here."""

import json
import re

import pytest

import appcontainers
import lint
from compiler import INFRA
from snapshot import GROUP, NAMES, THEIRS, Deployment, job_of, predicted, variables_of, variant


def test_linter_and_formatter_have_nothing_to_say():
    assert lint.findings() == []


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
        body, named = it.body, []
        if it.type == "Microsoft.App/jobs":
            named = body["properties"]["configuration"].get("secrets", [])
            (container,) = body["properties"]["template"]["containers"]
            assert {each["secretRef"] for each in container["env"] if "secretRef" in each} == {each["name"] for each in named}
            assert all(each.keys() == {"name", "keyVaultUrl", "identity"} for each in named)
        said = json.dumps(body).replace("secretRef", "").replace(json.dumps(named), "").replace('"secrets"', "")
        for each in named:
            said = said.replace(each["name"], "")
        if "telemetryAgent" in it.where or "appInsightsConfiguration" in body.get("properties", {}):
            # The agent knows no identity. Azure reads this one itself, and it is in no template.
            (address,) = body["properties"]["appInsightsConfiguration"].values()
            assert re.fullmatch(r"\[reference\([^']*'[^']*/Microsoft\.Insights/components/theirs'.*\)\.ConnectionString\]", address), address
            said = said.replace("connectionString", "").replace("ConnectionString", "")
        assert not re.search(r"connectionString|secret|password|sharedKey\"|listKeys|SharedAccess", said, re.I)


def test_a_topic_is_made_once_with_the_subscriptions_and_rules_of_its_jobs():
    deployment = variant("topics")

    def made(kind: str) -> dict[str, dict]:
        return {it.name.partition("/")[2]: it.body["properties"] for it in deployment.of_type(f"Microsoft.ServiceBus/namespaces/{kind}")}

    # However it is written. The queue of an outbox that is the topic of a job is not made beside it.
    assert made("topics") == {"Orders": {}, "done": {}} and made("queues").keys() == {"plain"}
    subscriptions = made("topics/subscriptions")
    assert {name: it["lockDuration"] for name, it in subscriptions.items()} == {"Orders/billing": "PT90S", "orders/archive": "PT1M"}
    for it in subscriptions.values():
        assert it["deadLetteringOnMessageExpiration"] and it["deadLetteringOnFilterEvaluationExceptions"] and not it["requiresSession"]
        assert it["maxDeliveryCount"] == 10
    assert made("topics/subscriptions/rules") == {
        "Orders/billing/$Default": {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "amount > 100"}, "action": {"sqlExpression": "SET large = true"}},
        "Orders/billing/of-eu": {"filterType": "CorrelationFilter", "correlationFilter": {"label": "order", "properties": {"region": "eu"}}},
    }


def test_an_entity_requires_sessions_where_it_is_asked_for():
    for name, wanted in [("sessions", True), ("servicebus", False)]:
        deployment = variant(name)
        made = deployment.of_type("Microsoft.ServiceBus/namespaces/queues") + deployment.of_type("Microsoft.ServiceBus/namespaces/topics/subscriptions")
        assert made and all(it.body["properties"]["requiresSession"] is wanted for it in made)


def test_azure_monitor_takes_each_signal_to_its_place():
    deployment = variant("azure-monitor")
    (rule,) = deployment.of_type("Microsoft.Insights/dataCollectionRules")
    body = rule.body["properties"]
    sources = {kind: it["streams"] for kind, (it,) in body["directDataSources"].items()}
    assert sources == {
        "otelTraces": [f"Microsoft-OTel-Traces-{it}" for it in ("Spans", "Events", "Resources")],
        "otelLogs": ["Microsoft-OTel-Logs"],
        "otelMetrics": ["Custom-Metrics-Otel"],
    }
    # Each stream of a source flows to one destination that there is.
    places = {it["name"]: kind for kind, all_ in body["destinations"].items() for it in all_}
    flows = [(it, places[to]) for flow in body["dataFlows"] for to in flow["destinations"] for it in flow["streams"]]
    assert sorted(it for it, _ in flows) == sorted(it for all_ in sources.values() for it in all_)
    assert {to for it, to in flows if it == "Custom-Metrics-Otel"} == {"monitoringAccounts"}
    assert {to for it, to in flows if it != "Custom-Metrics-Otel"} == {"logAnalytics"}
    (insights,) = deployment.of_type("Microsoft.Insights/components")
    assert insights.body["properties"]["DisableLocalAuth"] is True
    references = {it["name"]: it["resourceId"] for it in body["references"]["applicationInsights"]}
    assert list(references.values()) == [f"{GROUP}/providers/Microsoft.Insights/components/long-shore-insights"]
    assert {it["enrichWithReference"] for (it,) in body["directDataSources"].values()} == set(references)
    more = {it.type for it in deployment.resources} - {it.type for it in variant("storage").resources}
    assert more == {"Microsoft.Monitor/accounts", "Microsoft.Insights/components", "Microsoft.Insights/dataCollectionEndpoints", "Microsoft.Insights/dataCollectionRules"}
    assert len(deployment.of_type("Microsoft.Insights/workbooks")) == 2


def test_the_agent_sends_metrics_to_otlp_only():
    (environment,) = variant("agent").of_type("Microsoft.App/managedEnvironments")
    said = environment.body["properties"]["openTelemetryConfiguration"]
    assert said["destinationsConfiguration"] == {"otlpConfigurations": [{"name": "otlp", "endpoint": "collector.example.com:4317", "insecure": False}]}
    assert said["tracesConfiguration"] == said["logsConfiguration"] == {"destinations": ["appInsights", "otlp"]}
    assert said["metricsConfiguration"] == {"destinations": ["otlp"], "includeKeda": True}
    (plain,) = variant("storage").of_type("Microsoft.App/managedEnvironments")
    assert not {"openTelemetryConfiguration", "appInsightsConfiguration"} & plain.body["properties"].keys()
    # The platform tells the containers where the agent is.
    assert not [it for it in variables_of(job_of(variant("agent"))) if it.startswith("OTEL_")]


def test_dead_letters_raise_an_alert_where_the_service_counts_them():
    alerts = variant("topics").of_type("Microsoft.Insights/metricAlerts")
    assert [it.name for it in alerts] == [f"long-shore{it}-dead-letters" for it in ("", "-all", "-queue")]
    (namespace,) = variant("topics").of_type("Microsoft.ServiceBus/namespaces")
    for alert, entity in zip(alerts, [["Orders", "orders"], ["orders"], ["plain"]]):
        (criterion,) = alert.body["properties"]["criteria"]["allOf"]
        assert alert.body["properties"]["scopes"] == [f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/{namespace.name}"]
        assert (criterion["metricName"], criterion["operator"], criterion["threshold"]) == ("DeadletteredMessages", "GreaterThan", 0)
        assert criterion["dimensions"] == [{"name": "EntityName", "operator": "Include", "values": entity}]
    (theirs,) = variant("existing-subscription").of_type("Microsoft.Insights/metricAlerts")
    assert theirs.body["properties"]["scopes"] == [f"{THEIRS}/Microsoft.ServiceBus/namespaces/theirs"]
    assert not variant("people").of_type("Microsoft.Insights/metricAlerts")


def test_no_alert_on_waiting_where_there_is_to_be_none():
    def names(job: dict) -> set[str]:
        return {it.name for it in predicted(job=job).of_type("Microsoft.Insights/scheduledQueryRules")}

    assert names({}) - names({"oldestMessageMinutes": 0}) == {"long-shore-waited"}
    (waited,) = [it for it in predicted(job={"oldestMessageMinutes": 5}).of_type("Microsoft.Insights/scheduledQueryRules") if it.name.endswith("waited")]
    assert "tolong(line.age_ms) > 300000" in waited.body["properties"]["criteria"]["allOf"][0]["query"]


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


def test_in_a_subnet_the_environment_has_no_public_address():
    (environment,) = variant("subnet").of_type("Microsoft.App/managedEnvironments")
    network = environment.body["properties"]["vnetConfiguration"]
    assert network == {"infrastructureSubnetId": f"{THEIRS}/Microsoft.Network/virtualNetworks/theirs/subnets/jobs", "internal": True}


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


def test_shared_keys_passwords_and_anonymous_access_are_off():
    (account,) = variant("storage").of_type("Microsoft.Storage/storageAccounts")
    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
    # Where blobs are alone in it as well.
    (other,) = variant("servicebus-container").of_type("Microsoft.Storage/storageAccounts")
    assert other.body["properties"] == account.body["properties"]
    (registry,) = variant("storage").of_type("Microsoft.ContainerRegistry/registries")
    # In the other mode AcrPull allows nothing.
    assert registry.body["properties"] == {"adminUserEnabled": False, "anonymousPullEnabled": False, "roleAssignmentMode": "LegacyRegistryPermissions"}
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


def test_people_are_told_of_failures_and_of_messages_that_need_them():
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
    assert seen == [
        ("long-shore-failures", 3, "PT10M", 1),
        ("long-shore-failed", 1, "PT30M", 3),
        ("long-shore-hold", 1, "PT15M", 2),
        ("long-shore-rejected", 1, "PT30M", 2),
        ("long-shore-poisoned", 1, "PT30M", 3),
        ("long-shore-waited", 1, "PT30M", 3),
    ]
    assert people.body["properties"]["emailReceivers"][0]["emailAddress"] == "people@example.com"
    assert variant("storage").of_type("Microsoft.Insights/actionGroups") == []


def test_executions_that_take_their_whole_time_to_fail_keep_the_second_alert_raised():
    # An image that cannot be pulled, and a breaker that holds: one failure in such a time.
    timeout = job_of(variant("storage"))["properties"]["configuration"]["replicaTimeout"]
    windows = [it.body["properties"]["windowSize"] for it in variant("storage").of_type("Microsoft.Insights/scheduledQueryRules")]
    minutes = [int(it.removeprefix("PT").removesuffix("M")) for it in windows]
    assert minutes[0] * 60 < timeout < minutes[1] * 60


def test_a_workbook_asks_about_its_own_job():
    for name, jobs in [("storage", ["long-shore"]), ("two-jobs", ["long-shore", "long-shore-invoices", "long-shore-theirs"])]:
        pages = [it.body["properties"]["serializedData"] for it in variant(name).of_type("Microsoft.Insights/workbooks")]
        for job, page in zip(jobs, pages, strict=True):
            asked = [it["content"]["query"] for it in json.loads(page)["items"] if it["type"] == 3]
            assert asked and all(f"JobName == '{job}'" in it for it in asked)


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


def test_a_region_is_one_region_however_it_is_written():
    (here,), (there,) = (predicted(location=it).of_type("Microsoft.Storage/storageAccounts") for it in ("westeurope", "West Europe"))
    assert here.name == there.name


def test_what_is_empty_or_null_is_left_out():
    ids = dict.fromkeys(["identityId", "registryId", "environmentId", "workspaceId", "subnetId"], "")
    nothing = {"queueId": "", "topicName": "", "subscriptionName": "", "poisonQueueId": "", "component": "", "image": "", "cpu": None, "queueName": None, "containers": None}
    assert predicted(job=nothing, jobs=[nothing], existing=ids, image="", serviceBusScalerRole="") == predicted()
    assert predicted(queueService="servicebus", serviceBusScalerRole="") == predicted(queueService="servicebus")


def test_a_name_is_one_deployment_however_it_is_written():
    names = [sorted(it.name for it in predicted(name=it, queueService="storage").resources) for it in ("Orders_Dev", "orders-dev")]
    assert names[0] == names[1]
