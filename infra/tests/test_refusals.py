"""What is refused before anything is sent, in words; and planted mistakes, each of which the compiler finds."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import appcontainers
from compiler import INFRA, MISSING, Compiler, Refused, compiler
from snapshot import made_by, predicted

ID = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers"
QUEUES = "Microsoft.Storage/storageAccounts/theirs/queueServices/default/queues"
CONTAINERS = "Microsoft.Storage/storageAccounts/theirs/blobServices/default/containers"
URL = "https://theirs.vault.azure.net/secrets/key"
LONG = "the-name-is-very-long"


def refusal(**parameters) -> str:
    with pytest.raises(Refused) as refused:
        predicted(**parameters)
    return str(refused.value)


@pytest.mark.parametrize("name", ["1abc", "a--b", "abc-", "a b"])
def test_a_name_that_nothing_can_be_called_is_refused(name):
    assert f'The name "{name}" has to begin with a letter' in refusal(name=name)


@pytest.mark.parametrize("name", ["ab", "a-name-of-21-letters-"])
def test_a_name_of_a_wrong_length_is_refused(name):
    assert re.search("BCP33[23]", refusal(name=name))


def test_everything_that_is_wrong_with_jobs_is_said_at_once():
    wrong = [
        ({"queueName": "Orders"}, 'The Storage queue "Orders" has to have 3 to 56 small letters'),
        ({"queueName": "a--b"}, 'The Storage queue "a--b"'),
        ({"queueName": "ab"}, 'The Storage queue "ab"'),
        ({"queueName": "a" * 57}, 'The Storage queue "aaa'),
        ({"timeBudgetSeconds": 60, "deadlineSeconds": 60}, "timeBudgetSeconds 60 leaves no time to receive before the last deadlineSeconds of 60"),
        ({"handlingMs": 31_000}, "handlingMs 31000 is longer than deadlineSeconds 30"),
        ({"lease": "fixed", "deadlineSeconds": 604_771}, "longer than a fixed lease may last"),
        ({"cpu": "0.25", "handlerMemoryMib": 397}, "handlerMemoryMib 397 does not fit beside the host into the 512 MiB of cpu 0.25"),
        ({"queueId": "orders"}, 'queueId "orders" is no resource id of a Storage queue or of a Service Bus queue, subscription or topic'),
        ({"queueId": f"{ID}/Microsoft.Storage/storageAccounts/theirs"}, "theirs\" is no resource id of a Storage queue"),
        ({"makePoisonQueue": True}, "makePoisonQueue is for a Storage queue that exists already"),
        ({"poisonQueueId": f"{ID}/{QUEUES}/one"}, 'one" has to be a Storage queue, beside a queueId of Storage'),
        ({"queueId": f"{ID}/{QUEUES}/two", "poisonQueueId": "two"}, 'poisonQueueId "two" has to be a Storage queue'),
        ({"outboxes": [{"name": "one"}]}, 'The outbox "one" needs one of queueName, topicName, queueId and url'),
        ({"outboxes": [{"name": "one", "url": "sb://a.servicebus.windows.net/a", "queueId": f"{ID}/Microsoft.ServiceBus/namespaces/a/queues/a"}]}, "needs one of queueName"),
        ({"outboxes": [{"name": "one", "queueName": "Bills"}]}, 'The Storage queue "Bills" has to have'),
        ({"outboxes": [{"name": "two", "url": "sb://a.servicebus.windows.net/a"}] * 2}, "Two outboxes have one name"),
        ({"queueId": f"{ID}/Microsoft.ServiceBus/namespaces/a/topics/t"}, 'topics/t" is a topic, from which nobody can receive'),
        ({"outboxes": [{"name": "s", "queueId": f"{ID}/Microsoft.ServiceBus/namespaces/a/topics/t/subscriptions/s"}]}, 'outbox "s" names a subscription, to which nobody can send'),
        ({"outboxes": [{"name": "t", "topicName": "t"}]}, 'topicName "t" of the outbox "t" is for Service Bus'),
        ({"topicName": "t"}, "topicName and subscriptionName need each other"),
        ({"subscriptionName": "s"}, "topicName and subscriptionName need each other"),
        ({"topicName": "tt", "subscriptionName": "s"}, 'topicName "tt" is for Service Bus'),
        ({"topicName": "t", "subscriptionName": "-s"}, 'subscriptionName "-s" may have'),
        ({"topicName": "t", "subscriptionName": "s", "queueId": f"{ID}/{QUEUES}/seven"}, "leave out one of them"),
        ({"rules": [{"name": "r", "sql": "1=1"}]}, "rules are for a subscription that is made"),
        ({"rules": [{"name": "neither"}]}, 'The rule "neither" needs either sql or a correlation'),
        ({"rules": [{"name": "both", "sql": "1=1", "correlation": {"label": "a"}}]}, 'The rule "both" needs either sql'),
        ({"rules": [{"name": "a b", "sql": "1=1"}]}, 'The rule "a b" may have letters'),
        ({"rules": [{"name": "r", "sql": "1=1"}, {"name": "R", "sql": "1=1"}]}, "Two rules have one name"),
        ({"requiresSession": True}, "requiresSession is for a queue or a subscription of Service Bus"),
        ({"otel": {"LONGSHORE_QUEUE": "a"}}, "A variable of otel does not begin with OTEL_"),
        ({"otel": {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a"}}, "Headers of otel may hold a key"),
        ({"component": "order.wasm"}, 'component "order.wasm" is neither oci://'),
        ({"allowHttp": ["a.example.com\nb.example.com"]}, "A grant has a line break"),
        ({"queueId": f"{ID}/{QUEUES}/Three"}, 'Three" names a Storage queue, whose name has 3 to 63 small letters'),
        ({"queueId": f"{ID}/{QUEUES}/{'a' * 64}"}, 'names a Storage queue, whose name has 3 to 63'),
        ({"queueId": f"{ID}/{QUEUES}/{'b' * 57}"}, '"-poison" does not fit behind it'),
        ({"queueId": f"{ID}/{QUEUES}/poisoned", "poisonQueueId": f"{ID}/{QUEUES}/Other"}, 'poisonQueueId "' + f"{ID}/{QUEUES}/Other"),
        ({"queueId": f"{ID}/{QUEUES}/four".replace("default", "other")}, "queueServices/other/queues/four\" is not in queueServices/default"),
        ({"queueId": f"{ID}/{QUEUES}/five", "poisonQueueId": f"{ID}/{QUEUES}/five".lower()}, "the poison queue is the queue itself"),
        ({"queueId": f"{ID}/Microsoft.ServiceBus/namespaces/a/queues/team~six"}, 'six" has a "~", which stands for a slash'),
        ({"containers": [{"access": "read"}]}, "A container needs either a name or a containerId"),
        ({"containers": [{"name": "one", "containerId": f"{ID}/{CONTAINERS}/one", "access": "read"}]}, "A container needs either a name"),
        ({"containers": [{"name": "Claims", "access": "read"}]}, 'The container "Claims" has to have 3 to 63 small letters'),
        ({"containers": [{"name": "a--b", "access": "read"}]}, 'The container "a--b"'),
        ({"containers": [{"name": "ab", "access": "read"}]}, 'The container "ab"'),
        ({"containers": [{"name": "a" * 64, "access": "read"}]}, 'The container "aaa'),
        ({"containers": [{"containerId": f"{ID}/{QUEUES}/one", "access": "read"}]}, "is no resource id of a Microsoft.Storage/storageAccounts/blobServices/containers"),
        ({"containers": [{"name": "one", "access": "read"}, {"name": "one", "access": "write"}]}, "Two containers are one"),
        ({"httpIdentity": ["a.example.com\nb.example.com"]}, "A grant has a line break"),
        ({"httpHeader": ["a.example.com=x=secret"]}, 'httpHeader "a.example.com=x=secret" does not end with'),
        ({"httpHeader": ["a.example.com=x=@KEY"]}, 'httpHeader "a.example.com=x=@KEY" does not end with'),
        ({"secrets": [{"variable": "NEITHER"}]}, 'The secret "NEITHER" needs either a keyVaultUrl or a secretId'),
        ({"secrets": [{"variable": "URL", "keyVaultUrl": "theirs"}]}, 'keyVaultUrl "theirs" is no URL such as https://'),
        ({"secrets": [{"variable": "ID", "secretId": "theirs"}]}, 'secretId "theirs" is no resource id of a Microsoft.KeyVault/vaults/secrets'),
        ({"secrets": [{"variable": "LONGSHORE_QUEUE", "keyVaultUrl": URL}]}, 'The secret "LONGSHORE_QUEUE" is no variable of yours'),
        ({"secrets": [{"variable": "KEY", "keyVaultUrl": URL}, {"variable": "key", "keyVaultUrl": URL}]}, "Two secrets have one variable"),
        ({"config": {"a=b": "c"}}, 'A name in config or env has a "="'),
        ({"env": {"KEY": "one\ntwo"}}, "A value in config or env has a line break"),
    ]  # fmt: skip
    said = refusal(jobs=[{"name": f"n{at}", "queueName": f"queue{at}"} | it for at, (it, _) in enumerate(wrong)])
    for at, (_, words) in enumerate(wrong):
        assert words in said, words
        assert "queueName" in wrong[at][0] or f"long-shore-n{at}: " in said, at


def test_a_limit_is_still_taken():
    jobs = [
        {"queueName": "a" * 56},
        {"name": "b", "queueName": "bbb", "timeBudgetSeconds": 61, "deadlineSeconds": 60, "handlingMs": 60_000},
        {"name": "d", "queueName": "ddd", "containers": [{"name": it, "access": "read"} for it in ("a1b", "0" * 63)]},
        {"name": "c", "queueName": "c-1", "cpu": "0.25", "handlerMemoryMib": 396},
    ]
    assert len(predicted(jobs=jobs).of_type("Microsoft.App/jobs")) == 8


def test_jobs_that_get_in_each_others_way_are_refused():
    said = refusal(jobs=[{}, {}, {"name": LONG, "queueName": "other"}])
    assert "Two jobs have one name" in said and "Two jobs drain one queue" in said
    assert "Two jobs have one name" in refusal(jobs=[{}, {"name": "manual", "queueName": "other"}])
    poison = [{}, {"name": "p", "queueName": "orders-poison"}]
    assert "A job drains the poison queue of another one" in refusal(jobs=poison)
    assert predicted(jobs=poison, queueService="servicebus")
    assert f'The name of the job "long-shore-{LONG}" is longer than 25 characters' in said


def test_a_service_bus_queue_has_names_of_its_own():
    assert 'The Service Bus queue "-orders" may have' in refusal(queueService="servicebus", job={"queueName": "-orders"})
    assert predicted(queueService="servicebus", job={"queueName": "Orders.eu-2"})


def test_two_jobs_share_a_topic_and_no_subscription():
    first = {"topicName": "orders", "subscriptionName": "a"}
    said = refusal(queueService="servicebus", jobs=[first, {"name": "b", "topicName": "Orders", "subscriptionName": "A"}])
    assert "Two jobs drain one queue" in said
    assert predicted(queueService="servicebus", jobs=[first, {"name": "b", "topicName": "orders", "subscriptionName": "b"}])


def test_telemetry_has_one_way_and_a_place():
    theirs = {"environmentId": f"{ID}/Microsoft.App/managedEnvironments/theirs"}
    agent = {"otlpEndpoint": "collector:4317"}
    for given in ({"azureMonitor": True}, {"existing": theirs}):
        assert "telemetryAgent is for an environment that is made, and without azureMonitor" in refusal(telemetryAgent=agent, **given)
    assert "azureMonitor needs a place for spans" in refusal(azureMonitor=True, existing=theirs)
    said = refusal(telemetryAgent={"applicationInsightsId": "theirs", "otlpEndpoint": "collector"})
    assert 'applicationInsightsId "theirs" is no resource id of a Microsoft.Insights/components' in said
    assert 'otlpEndpoint "collector" is no address with a port' in said
    assert "otlpInsecure is about an otlpEndpoint" in refusal(telemetryAgent={"otlpInsecure": True})


def test_a_role_or_a_principal_that_is_no_guid_is_refused():
    wrong = {"renewRole": "Reader", "serviceBusScalerRole": "0" * 36 + "0", "operatorPrincipalId": "somebody@example.com"}
    said = refusal(**wrong)
    for parameter, value in wrong.items():
        assert f'{parameter} "{value}" is no GUID' in said
    assert "identityPulls is about" in refusal(existing={"identityPulls": True})


def test_an_id_that_is_none_is_refused_and_so_is_what_contradicts_itself():
    ids = {
        "identityId": "Microsoft.ManagedIdentity/userAssignedIdentities",
        "registryId": "Microsoft.ContainerRegistry/registries",
        "environmentId": "Microsoft.App/managedEnvironments",
        "workspaceId": "Microsoft.OperationalInsights/workspaces",
        "subnetId": "Microsoft.Network/virtualNetworks/subnets",
    }
    said = refusal(existing={it: "theirs" for it in ids})
    for parameter, type_ in ids.items():
        assert f'{parameter} "theirs" is no resource id of a {type_}.' in said
    assert "leave out subnetId or environmentId" in said
    said = refusal(existing={"environmentId": f"{ID}/Microsoft.App/managedEnvironments/theirs"}, alertEmail="people@example.com")
    assert "alertEmail needs the logs" in said


SET = {
    "LONGSHORE_HANDLING_MS": "100", "LONGSHORE_BUSY_SECONDS": "60", "LONGSHORE_CONCURRENCY": "4", "LONGSHORE_CPU": "1.0",
    "LONGSHORE_DEADLINE_SECONDS": "60", "LONGSHORE_MAX_MESSAGES": "9", "LONGSHORE_TIME_BUDGET_SECONDS": "600", "LONGSHORE_GRACE_SECONDS": "10",
    "LONGSHORE_MAX_DEQUEUE": "3", "LONGSHORE_POLLING_SECONDS": "60", "LONGSHORE_MAX_EXECUTIONS": "3", "LONGSHORE_STORAGE_SKU": "Standard_LRS",
    "LONGSHORE_QUEUE_NAME": "invoices", "LONGSHORE_LEASE": "fixed", "LONGSHORE_MEMORY": "64", "LONGSHORE_IMAGE": "a.azurecr.io/b:c",
    "LONGSHORE_TOPIC_NAME": "events", "LONGSHORE_SUBSCRIPTION_NAME": "billing", "LONGSHORE_REQUIRES_SESSION": "true", "LONGSHORE_AZURE_MONITOR": "true",
    "LONGSHORE_ALERT_EMAIL": "people@example.com", "LONGSHORE_QUEUE_SERVICE": "servicebus",
    "LONGSHORE_SCALER_ROLE": "090c5cfd-751d-490a-894a-3ce6f1109419", "AZURE_PRINCIPAL_ID": "person", "AZURE_PRINCIPAL_TYPE": "ServicePrincipal",
}  # fmt: skip
GIVEN = {
    "job": {
        "handlingMs": 100, "busySeconds": 60, "concurrency": 4, "cpu": "1.0", "deadlineSeconds": 60, "maxMessages": 9, "timeBudgetSeconds": 600,
        "graceSeconds": 10, "maxDequeue": 3, "pollingIntervalSeconds": 60, "maxExecutions": 3, "queueName": "invoices", "lease": "fixed", "handlerMemoryMib": 64,
        "topicName": "events", "subscriptionName": "billing", "requiresSession": True,
    },
    "azureMonitor": True,
    "storageSku": "Standard_LRS", "image": "a.azurecr.io/b:c", "alertEmail": "people@example.com", "queueService": "servicebus",
    "serviceBusScalerRole": "090c5cfd-751d-490a-894a-3ce6f1109419", "operatorPrincipalId": "person", "operatorPrincipalType": "ServicePrincipal",
}  # fmt: skip
COMMON = {"name": "long-shore", "location": "westeurope", "tags": {"azd-env-name": "long-shore"}}
FILE = INFRA / "subscription.bicepparam"


def test_a_variable_of_azd_sets_its_parameter():
    with Compiler(**SET) as asked:
        parameters = asked.built(FILE)["parameters"]
    assert {name: it["value"] for name, it in parameters.items()} == COMMON | GIVEN


def test_without_variables_of_azd_there_are_the_defaults():
    assert made_by(INFRA / "subscription.bicep", FILE.read_text().partition("\n")[2], compiler()) == predicted("subscription.bicep", **COMMON)


def test_each_variable_of_azd_is_on_the_page_and_in_the_test_above():
    asked = set(re.findall(r"'(LONGSHORE_\w+)'", (INFRA / "subscription.bicepparam").read_text()))
    table = (INFRA.parent / "docs/deploy.md").read_text().partition("| `azd env set` |")[2].partition("\n\n")[0]
    assert asked and asked <= set(re.findall(r"`(LONGSHORE_\w+)`", table))
    assert asked == {it for it in SET if it.startswith("LONGSHORE_")}


def test_the_hook_of_azd_reads_outputs_that_there_are():
    hook = (INFRA / "azure.yaml").read_text()
    outputs = set(re.findall(r"^output (\w+)", (INFRA / "subscription.bicep").read_text(), re.M))
    # The subscription is azd's own variable, all others are the template's.
    asked = set(re.findall(r"\$(?:\{)?([A-Z_]+)", hook)) - {"AZURE_SUBSCRIPTION_ID"}
    assert asked and asked <= outputs


def test_without_the_compiler_the_tests_fail_and_say_how_to_get_it(monkeypatch, tmp_path):
    make = shutil.which("make")
    monkeypatch.setenv("PATH", str(tmp_path))
    # Of a make that runs several targets at once.
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    with pytest.raises(AssertionError, match="bicep is not on PATH"):
        Compiler()
    for target in ("test-infra", "lint-infra", "infra-generated"):
        ran = subprocess.run([make, "--directory", INFRA.parent, target], capture_output=True, text=True)
        assert ran.returncode != 0
        assert ran.stderr.splitlines()[0] == MISSING, target


# Each mistake is planted into a copy: (file, what stands there, what is planted, what has to be said).
MISTAKES = [
    ("modules/job.bicep", "replicaTimeout: replicaTimeout", "replicaTimeOut: replicaTimeout", 'Did you mean "replicaTimeout"'),
    ("modules/job.bicep", "replicaTimeout: replicaTimeout", "replicaTimeout: string(replicaTimeout)", "BCP036"),
    ("modules/job.bicep", "memory: '", "mem: '", "BCP0"),
    ("modules/job.bicep", "jobs@2026-07-01", "jobs@2023-05-01", "use-recent-api-versions"),
    ("modules/job.bicep", "environmentId: environmentId\n", "environmentId: environmentId\n      provisioningState: 'Succeeded'\n", "BCP073"),
    ("modules/job.bicep", "name: 'longshore'\n", "name 'longshore'\n", "BCP018"),
    ("modules/job.bicep", "min(settings.busySeconds!,", "min(settings.busySecond!,", 'Did you mean "busySeconds"'),
    ("modules/environment.bicep", "destination:", "destnation:", 'Did you mean "destination"'),
    ("modules/telemetry.bicep", "otelTraces: [", "otelTrace: [", 'Did you mean "otelTraces"'),
    ("modules/telemetry.bicep", "logsIngestion.endpoint", "logIngestion.endpoint", 'Did you mean "logsIngestion"'),
    ("modules/subscription.bicep", "deadLetteringOnFilterEvaluationExceptions", "deadLetteringOnFilterExceptions", "BCP037"),
    ("modules/environment.bicep", "includeKeda:", "includeKEDA:", 'Did you mean "includeKeda"'),
    ("modules/registry.bicep", "registries@2025-11-01", "registries@2023-07-01", "anonymousPullEnabled"),
    ("modules/alert.bicep", "rule.window\n", "rule.windows\n", 'Did you mean "window"'),
    ("modules/grants.bicep", "roles.AcrPull", "roles.AcrPul", 'Did you mean "AcrPull"'),
    ("main.bicep", "    sku: storageSku\n", "", "BCP035"),
    ("main.bicep", "    sku: storageSku\n", "    sku: storageSku\n    kind: 'x'\n", "BCP037"),
    ("main.bicep", "module logs 'modules/logs.bicep'", "module logs 'modules/log.bicep'", "BCP091"),
    ("main.bicep", "var letters", "var unneeded = 1\nvar letters", "no-unused-vars"),
    ("subscription.bicep", "    jobs: jobs\n", "", "no-unused-params"),
]


@pytest.fixture
def planted(tmp_path):
    """Plants a mistake into a copy of the templates."""

    def plant(file: str, there: str, mistake: str) -> Path:
        infra = tmp_path / "infra"
        shutil.copytree(INFRA, infra, ignore=shutil.ignore_patterns("tests"))
        whole = (infra / file).read_text()
        assert there in whole
        (infra / file).write_text(whole.replace(there, mistake))
        return infra

    return plant


@pytest.mark.parametrize(("file", "there", "mistake", "said"), MISTAKES, ids=[f"{file}: {mistake or there}" for file, there, mistake, _ in MISTAKES])
def test_the_compiler_finds_a_planted_mistake(planted, file, there, mistake, said):
    assert said in "\n".join(compiler().findings(planted(file, there, mistake) / file))


# What the compiler lets pass: it takes each word for a newer version's.
@pytest.mark.parametrize(
    ("there", "mistake", "said"),
    [
        ("triggerType: 'Event'", "triggerType: 'Events'", "'Events' is none of Schedule, Event, Manual"),
        ("type: 'UserAssigned'", "type: 'userassigned'", "'userassigned' is none of None, SystemAssigned, UserAssigned"),
    ],
)
def test_the_models_find_a_word_that_the_service_does_not_know(planted, there, mistake, said):
    jobs = predicted(infra=planted("modules/job.bicep", there, mistake)).of_type("Microsoft.App/jobs")
    assert any(said in it for job in jobs for it in appcontainers.findings(job))


@pytest.mark.parametrize(
    ("name", "file", "there", "mistake", "shows"),
    [
        ("storage", "grants", "{ on: each.id, role: roles.StorageQueueDataReader, who: 'worker' }", "{ on: each.id, role: roles.StorageQueueDataMessageProcessor, who: 'worker' }", "8a0f0c08-91a1-4084-bc3d-661d67233fed"),
        ("containers", "grants", "? roles.StorageBlobDataReader : roles", "? roles.StorageBlobDataContributor : roles", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
        ("existing-container", "grant", "scope: account::blobs::container", "scope: account", "storageAccounts/theirs', 'Microsoft.Authorization/roleAssignments'"),
        ("existing-container", "job", "it.access == 'read' ? 'GET,HEAD ' : ''", "''", "format('{0}{1}', '', format('{0}.blob."),
    ],
    ids=["a role on a queue", "a role on a container", "a role on the account", "a grant for all methods"],
)  # fmt: skip
def test_a_right_too_many_shows_in_the_prediction(planted, name, file, there, mistake, shows):
    infra = planted(f"modules/{file}.bicep", there, mistake)
    variant = INFRA / f"tests/variants/{name}.bicepparam"
    copy = infra / f"tests/variants/{name}.bicepparam"
    copy.parent.mkdir(parents=True)
    copy.write_text(variant.read_text())
    changed = set(compiler().predicted(copy).splitlines()) - set(variant.with_suffix(".snapshot.json").read_text().splitlines())
    assert any(shows in it for it in changed), changed
