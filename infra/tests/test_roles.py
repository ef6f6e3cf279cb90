"""Who may do what, asked of what the compiler predicts: each role is on the narrowest scope, and nobody has more."""

import json
import re

import pytest

import lint
from compiler import INFRA
from snapshot import GROUP, QUEUE_OF, THEIRS, Deployment, job_of, predicted, variables_of, variant

# From Azure's list of built-in roles, by hand: roles.json is checked against it.
ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AzureServiceBusDataReceiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
    "AzureServiceBusDataSender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "ContainerAppsJobsOperator": "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b",
    "KeyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "MonitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "StorageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "StorageBlobDataReader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "StorageQueueDataMessageProcessor": "8a0f0c08-91a1-4084-bc3d-661d67233fed",
    "StorageQueueDataMessageSender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "StorageQueueDataReader": "19e7f393-937e-4f77-808e-94535e297925",
}
GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


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


def test_role_ids_are_those_of_the_roles_they_are_called():
    assert json.loads((INFRA / "roles.json").read_text()) == ROLES


def test_no_template_names_a_role_by_a_bare_id_but_the_unverified_one():
    named = {guid for path in lint.TEMPLATES for guid in GUID.findall(path.read_text())}
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


MORE = {
    "two-jobs": ON_QUEUE
    | {
        ("worker", "StorageQueueDataMessageProcessor", "queues invoices"),
        ("worker", "StorageQueueDataReader", "queues invoices"),
        ("worker", "StorageQueueDataMessageSender", "queues invoices-poison"),
        ("worker", "AzureServiceBusDataReceiver", "queues mails"),
    },
    "own-handler": ON_QUEUE - {PULL} | {("worker", "AcrPull", "registries theirs"), ("worker", "StorageQueueDataMessageSender", "queues invoices"), ("worker", "StorageQueueDataMessageSender", "queues bills"), ("worker", "KeyVaultSecretsUser", "secrets api-key")},
    "public-image": ON_QUEUE - {PULL},
    "everything-exists": {
        ("worker", "22222222-2222-2222-2222-222222222222", "queues orders"),
        ("worker", "StorageQueueDataReader", "queues orders"),
        ("worker", "StorageQueueDataMessageSender", "queues orders-failed"),
    },
    "no-roles": set(),
    # On each container alone, and once although two jobs use it.
    "containers": ON_QUEUE | {
        ("worker", "StorageQueueDataMessageProcessor", "queues invoices"),
        ("worker", "StorageQueueDataReader", "queues invoices"),
        ("worker", "StorageQueueDataMessageSender", "queues invoices-poison"),
        ("worker", "StorageBlobDataReader", "containers claims"),
        ("worker", "StorageBlobDataContributor", "containers invoices"),
    },
    "existing-container": ON_QUEUE | {("worker", "StorageBlobDataReader", "containers claims")},
    # What is measured is sent by the one rule.
    "azure-monitor": ON_QUEUE | {("worker", "MonitoringMetricsPublisher", "dataCollectionRules long-shore-otlp")},
    "agent": ON_QUEUE,
    "sessions": {PULL, ("worker", "AzureServiceBusDataReceiver", "queues orders"), ("worker", "AzureServiceBusDataReceiver", "subscriptions billing")},
    # On each subscription and topic alone. What the people send to a subscription goes to its topic.
    "topics": {
        PULL,
        ("worker", "AzureServiceBusDataReceiver", "subscriptions billing"),
        ("worker", "AzureServiceBusDataReceiver", "subscriptions archive"),
        ("worker", "AzureServiceBusDataReceiver", "queues plain"),
        ("worker", "AzureServiceBusDataSender", "topics orders"),
        ("worker", "AzureServiceBusDataSender", "topics done"),
        ("people", "AzureServiceBusDataReceiver", "subscriptions billing"),
        ("people", "AzureServiceBusDataReceiver", "subscriptions archive"),
        ("people", "AzureServiceBusDataReceiver", "queues plain"),
        ("people", "AzureServiceBusDataSender", "topics orders"),
        ("people", "AzureServiceBusDataSender", "queues plain"),
        *(("people", "ContainerAppsJobsOperator", f"jobs long-shore{job}{manual}") for job in ("", "-all", "-queue") for manual in ("", "-manual")),
    },
    "servicebus-container": {PULL, ("worker", "AzureServiceBusDataReceiver", "queues orders"), ("worker", "StorageBlobDataContributor", "containers claims")},
}


@pytest.mark.parametrize("name", MORE)
def test_what_is_named_gets_its_role_and_what_is_not_made_gets_none(name):
    assert grants(variant(name)) == MORE[name]


def test_the_role_that_renews_has_three_actions():
    (role,) = variant("storage").of_type("Microsoft.Authorization/roleDefinitions")
    (permission,) = role.body["properties"]["permissions"]
    prefix = "Microsoft.Storage/storageAccounts/queueServices/queues/messages"
    assert permission["dataActions"] == [f"{prefix}/read", f"{prefix}/process/action", f"{prefix}/write"]
    assert permission["actions"] == permission["notActions"] == permission["notDataActions"] == []
    assert role.body["properties"]["assignableScopes"] == [GROUP]
    # By these words `make azure-role-remove` finds it.
    assert role.body["properties"]["roleName"].startswith("Longshore queue worker long-shore ")


def test_what_exists_is_not_changed_but_for_roles_on_the_one_queue_and_the_registry():
    for name, allowed in [
        ("existing-storage-queue", {f"{THEIRS}/{QUEUE_OF}/orders", f"{THEIRS}/{QUEUE_OF}/orders-poison"}),
        ("existing-servicebus-queue", {f"{THEIRS}/Microsoft.ServiceBus/namespaces/theirs/queues/orders"}),
        (
            "existing-subscription",
            {f"{THEIRS}/Microsoft.ServiceBus/namespaces/theirs/topics/{it}" for it in ("done", "orders", "orders/subscriptions/billing")},
        ),
        ("existing-registry", {f"{THEIRS}/Microsoft.ContainerRegistry/registries/theirs"}),
        ("existing-container", {f"{THEIRS}/Microsoft.Storage/storageAccounts/theirs/blobServices/default/containers/claims"}),
        ("existing-environment", set()),
        ("existing-environment-without-logs", set()),
        ("existing-workspace", set()),
        ("existing-identity", set()),
        ("subnet", set()),
        ("everything-exists", {f"{THEIRS}/{QUEUE_OF}/orders", f"{THEIRS}/{QUEUE_OF}/orders-failed"}),
    ]:
        at_theirs = [it for it in variant(name).resources if it.scope.startswith("/subscriptions/11111111")]
        roles = {it.scope.partition("/providers/Microsoft.Authorization")[0] for it in at_theirs if it.type.endswith("/roleAssignments")}
        assert roles == allowed, name
        # A poison queue is made where that was asked for.
        others = [it.name for it in at_theirs if not it.type.endswith("/roleAssignments")]
        assert others == (["theirs/default/orders-poison"] if name == "existing-storage-queue" else []), name


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
        "containers": [{"id": queue.replace("queueServices/default/queues", "blobServices/default/containers"), "access": "write"}],
        "secretIds": [],
        "collectionRuleId": "",
        "jobIds": [job, f"{job}-manual"],
        "workerPrincipalId": "the-worker",
        "operatorPrincipalId": "the-people",
        "operatorPrincipalType": "Group",
    }
    make, *assign = predicted("modules/grants.bicep", **asked, assignRoles=False).outputs["commands"]
    # Under the very names that the template gives: it may assign them later, and commands may be run again.
    assigning = predicted("modules/grants.bicep", **asked, assignRoles=True)
    (role,) = assigning.of_type("Microsoft.Authorization/roleDefinitions")
    url, said = re.fullmatch(r"az rest --method put --url \"(.*)\?api-version=2022-04-01\" --body '(.*)'", make).groups()
    assert url == f"{GROUP}/providers/Microsoft.Authorization/roleDefinitions/{role.name}"
    definition, made = json.loads(said)["properties"], role.body["properties"]
    assert {it: definition[it] for it in ("roleName", "type", "description", "assignableScopes")} == {it: made[it] for it in ("roleName", "type", "description", "assignableScopes")}
    assert definition["permissions"][0] == {it: made["permissions"][0][it] for it in ("actions", "dataActions")}
    assert {it.name for it in assigning.of_type("Microsoft.Authorization/roleAssignments")} < {re.search("--name (\\S+)", it)[1] for it in assign}
    found = set()
    names = {guid: name for name, guid in ROLES.items()} | {role.name: "renewer"}
    for it in assign:
        who, type_, said, scope = re.fullmatch(
            r'az role assignment create --name [0-9a-f-]{36} --assignee-object-id the-(\w+) --assignee-principal-type (\w+) --role (\S+) --scope (\S+)', it
        ).groups()
        assert type_ == {"worker": "ServicePrincipal", "people": "Group"}[who]
        found.add((who, names[said], " ".join(scope.rsplit("/", 2)[1:])))
    assert found == ON_QUEUE | {("worker", "StorageBlobDataContributor", "containers orders")} | {("people", *it) for it in PEOPLE}
    assert assigning.outputs["commands"] == []


def test_a_role_is_assigned_once_however_ids_are_written():
    # Azure refuses a second assignment of one role, whatever its name.
    queue, outbox = f"{THEIRS}/{QUEUE_OF}/orders", f"{THEIRS}/{QUEUE_OF}/invoices"
    common = {"operatorPrincipalId": "11111111-2222-3333-4444-55555555555a", "serviceBusScalerRole": ROLES["AzureServiceBusDataReceiver"].upper()}

    def assignments(*ids: str) -> list:
        jobs = [{"queueId": ids[0], "outboxes": [{"name": "one", "queueId": ids[1]}]}, {"name": "b", "queueId": f"{THEIRS}/Microsoft.ServiceBus/namespaces/theirs/queues/b"}]
        jobs[1]["outboxes"] = [{"name": "one", "queueId": ids[2]}]
        return predicted(jobs=jobs, **common).of_type("Microsoft.Authorization/roleAssignments")

    ours = assignments(queue, outbox, outbox)
    theirs = assignments(queue.lower(), outbox, outbox.lower())
    assert len(ours) == len(theirs) == len({(it.scope, json.dumps(it.body)) for it in ours})
    assert {it.name for it in ours if "people" not in it.name} == {it.name for it in theirs}
