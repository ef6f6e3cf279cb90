"""The manifests for Kubernetes: by the published schemas, by the templates for Container Apps, and by the host itself."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INFRA, HERE = ROOT / "infra", Path(__file__).parent
MANIFESTS = sorted((INFRA / "kubernetes").glob("*.yaml"))
KINDS = {"storage-queue": "storage", "service-bus": "servicebus", "service-bus-sessions": "sessions"}


# What is right, and a mistake in its place.
PLANTED = [
    ("pollingInterval: 30", "pollingInterval: often"),
    ("maxReplicaCount: ", "maxReplicasCount: "),
    ("    provider: azure-workload", "    provider: azure"),
    ("  triggers:", "  trigger:"),
    ("kind: ScaledJob", "kind: ScaledJobs"),
    ("            image: acme", "            images: acme"),
    ("backoffLimit: 0", 'backoffLimit: "0"'),
    ("activeDeadlineSeconds:", "activeDeadline:"),
    ("            env:", "            environment:"),
    ("restartPolicy: Never", "restartPolicy Never"),
    ("terminationGracePeriodSeconds:", "terminationGraceSeconds:"),
]


@cache
def looked_at(path: Path) -> list[list[dict]]:
    """The documents of a file, with what is wrong with each; and the same for the file with each planted mistake."""
    text = path.read_text()
    assert all(right in text for right, _ in PLANTED)
    texts = [text, *(text.replace(right, wrong, 1) for right, wrong in PLANTED)]
    ran = subprocess.run(["node", HERE / "validate.mjs"], input=json.dumps(texts), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(params=MANIFESTS, ids=lambda it: it.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def manifests(path) -> dict[str, dict]:
    """The documents of a file, by their kinds."""
    return {it["manifest"]["kind"]: it["manifest"] for it in looked_at(path)[0]}


@pytest.fixture
def pod(manifests) -> dict:
    return manifests["ScaledJob"]["spec"]["jobTargetRef"]["template"]["spec"]


def variables(container: dict) -> dict[str, str]:
    return {it["name"]: it["value"] for it in container["env"]}


@pytest.fixture
def job(path) -> dict:
    """What the templates make of the same queue on Container Apps."""
    predicted = json.loads((INFRA / f"tests/variants/{KINDS[path.stem]}.snapshot.json").read_text())
    jobs = [it for it in predicted["predictedResources"] if it["type"] == "Microsoft.App/jobs"]
    return next(it["properties"] for it in jobs if it["properties"]["configuration"]["triggerType"] == "Event")


def test_there_is_a_manifest_for_each_kind_of_queue_on_azure():
    assert {it.stem for it in MANIFESTS} == set(KINDS)


def test_each_manifest_fits_the_schemas_of_kubernetes_and_keda(path):
    found = looked_at(path)[0]
    assert [it["manifest"]["kind"] for it in found] == ["ServiceAccount", "TriggerAuthentication", "ScaledJob"]
    assert [it["wrong"] for it in found] == [[], [], []]


@pytest.mark.parametrize("at", range(len(PLANTED)), ids=[wrong.strip() for _, wrong in PLANTED])
def test_a_planted_mistake_is_found(path, at):
    assert any(it["wrong"] for it in looked_at(path)[at + 1])


def test_time_is_left_as_the_templates_leave_it(manifests, pod, job):
    target = manifests["ScaledJob"]["spec"]["jobTargetRef"]
    assert target["activeDeadlineSeconds"] == job["configuration"]["replicaTimeout"]
    assert target["backoffLimit"] == job["configuration"]["replicaRetryLimit"]
    # The test of host/worker/src/platform.rs compares this line with the host's own constants.
    stop = int(re.search(r"^var stopSeconds = graceSeconds \+ (\d+)$", (INFRA / "modules/job.bicep").read_text(), re.M)[1])
    grace = int(variables(pod["containers"][0])["LONGSHORE_GRACE"].removesuffix("s"))
    assert pod["terminationGracePeriodSeconds"] >= grace + stop


def test_the_host_is_told_what_the_templates_tell_it(pod, job):
    told = {it["name"]: it["value"] for it in job["template"]["containers"][0]["env"]}
    here = variables(pod["containers"][0])
    # The one comes from the webhook, and the others are the deployment's own.
    own = {"AZURE_CLIENT_ID", "LONGSHORE_QUEUE", "LONGSHORE_COMPONENT"}
    assert {k: v for k, v in here.items() if k not in own} == {k: v for k, v in told.items() if k not in own}
    assert pod["containers"][0]["resources"]["limits"]["memory"] == job["template"]["containers"][0]["resources"]["memory"]


def test_it_scales_as_the_templates_do(manifests, pod, job):
    spec, scale = manifests["ScaledJob"]["spec"], job["configuration"]["eventTriggerConfig"]["scale"]
    [trigger], [rule] = spec["triggers"], scale["rules"]
    assert (spec["pollingInterval"], spec["maxReplicaCount"]) == (scale["pollingInterval"], scale["maxExecutions"])
    assert trigger["type"] == rule["type"] and trigger["metadata"].keys() == rule["metadata"].keys()
    for length in ("queueLength", "messageCount"):
        assert trigger["metadata"].get(length) == rule["metadata"].get(length)
    # KEDA counts the queue that the host drains.
    queue = variables(pod["containers"][0])["LONGSHORE_QUEUE"]
    asked = trigger["metadata"]
    account = asked.get("accountName") or asked["namespace"]
    path = asked.get("queueName") or f"{asked['topicName']}/Subscriptions/{asked['subscriptionName']}"
    assert re.fullmatch(rf"(https|sb)://{account}\.[a-z.]+/{path}", queue)


def test_host_and_keda_are_one_identity_that_the_host_finds(manifests, pod):
    account, authentication = manifests["ServiceAccount"], manifests["TriggerAuthentication"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    client = account["metadata"]["annotations"]["azure.workload.identity/client-id"]
    assert authentication["spec"]["podIdentity"] == {"provider": "azure-workload", "identityId": client}
    spec = manifests["ScaledJob"]["spec"]
    assert spec["triggers"][0]["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert spec["jobTargetRef"]["template"]["metadata"]["labels"] == {"azure.workload.identity/use": "true"}
    # What the webhook sets is what `--credential auto` looks for.
    assert 'set("AZURE_FEDERATED_TOKEN_FILE")' in (ROOT / "host/azure/src/credential.rs").read_text()


def test_the_pod_has_the_user_of_the_image_and_no_rights_to_gain(pod):
    security = pod["containers"][0]["securityContext"]
    user = re.search(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(), re.M)[1]
    assert (security["runAsUser"], security["runAsNonRoot"]) == (int(user), True)
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]} and not pod["automountServiceAccountToken"]
