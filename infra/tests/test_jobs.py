"""What each job is told, asked of what the compiler predicts: its trigger, its arithmetic, its variables."""

import re

import pytest

from compiler import INFRA, Refused
from snapshot import NAMES, job_of, predicted, rule_of, variables_of, variant


def test_a_queue_of_somebody_elses_is_drained_and_counted_where_it_is():
    job = job_of(variant("existing-servicebus-queue"))
    assert rule_of(job)["type"] == "azure-servicebus"
    assert rule_of(job)["metadata"] | {"messageCount": ""} == {"namespace": "theirs", "queueName": "Orders", "messageCount": ""}
    assert variables_of(job)["LONGSHORE_QUEUE"] == "sb://theirs.servicebus.windows.net/Orders"


def test_a_subscription_is_drained_and_counted_by_its_topic():
    theirs = job_of(variant("existing-subscription"))
    assert rule_of(theirs)["metadata"] == {"namespace": "theirs", "topicName": "Orders", "subscriptionName": "Billing", "messageCount": "360"}
    said = variables_of(theirs)
    assert said["LONGSHORE_QUEUE"] == "sb://theirs.servicebus.windows.net/Orders/Subscriptions/Billing"
    assert said["LONGSHORE_OUTBOX"] == "done=sb://theirs.servicebus.windows.net/done"
    ours = variant("topics")
    (namespace,) = ours.of_type("Microsoft.ServiceBus/namespaces")
    for job, topic, subscription in [("", "Orders", "billing"), ("-all", "orders", "archive")]:
        made = job_of(ours, f"long-shore{job}")
        assert rule_of(made)["metadata"] == {"namespace": namespace.name, "topicName": topic, "subscriptionName": subscription, "messageCount": "360"}
        assert variables_of(made)["LONGSHORE_QUEUE"] == f"sb://{namespace.name}.servicebus.windows.net/{topic}/Subscriptions/{subscription}"
    assert variables_of(job_of(ours))["LONGSHORE_OUTBOX"].split("\n") == [f"{it}=sb://{namespace.name}.servicebus.windows.net/{to}" for it, to in (("done", "done"), ("again", "orders"))]


def test_sessions_limit_what_an_execution_takes():
    job = job_of(variant("sessions"))
    said = variables_of(job)
    assert [said[f"LONGSHORE_{it}"] for it in ("SESSIONS", "SESSION_IDLE", "ON_POISON")] == ["4", "2s", "stop"]
    # 4 sessions at once, two messages a second each, for 30 s; 6 handlers would fit.
    assert rule_of(job)["metadata"]["messageCount"] == "240" and said["LONGSHORE_CONCURRENCY"] == "6"
    assert job["properties"]["configuration"]["eventTriggerConfig"]["scale"]["maxExecutions"] == 5


def test_a_setting_that_is_left_out_is_left_to_the_host():
    told = ["SESSIONS", "SESSION_IDLE", "ON_POISON", "POISON_LOG", "TELEMETRY_FLUSH", "TRACE"]
    assert not {f"LONGSHORE_{it}" for it in told} & variables_of(job_of(variant("storage"))).keys()
    assert not [it for it in variables_of(job_of(variant("storage"))) if it.startswith("OTEL_")]
    said = variables_of(job_of(variant("azure-monitor")))
    assert [said[f"LONGSHORE_{it}"] for it in told[3:]] == ["0", "3s", "parent"]


def test_what_is_measured_goes_to_the_rule_and_its_endpoint():
    said = variables_of(job_of(variant("azure-monitor")))
    assert {it: said[it] for it in said if it.startswith("OTEL_") and not it.endswith("_ENDPOINT")} == {
        "OTEL_SERVICE_NAME": "long-shore",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    for signal, stream, ingestion in [("traces", "Microsoft-OTLP-Traces", "logs"), ("logs", "Microsoft-OTLP-Logs", "logs"), ("metrics", "Custom-Metrics-Otel", "metrics")]:
        address = said[f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"]
        endpoint = r"reference\('\S*/dataCollectionEndpoints/long-shore-otlp', '[\d-]+'\)"
        rule = r"reference\('\S*/dataCollectionRules/long-shore-otlp', '[\d-]+'\)"
        pattern = rf"format\('\{{0\}}\{{1\}}/{stream}/otlp/v1/{signal}', {endpoint}\.{ingestion}Ingestion\.endpoint, format\('/dataCollectionRules/\{{0\}}/streams', {rule}\.immutableId\)\)"
        assert re.search(pattern, address), address


def test_a_variable_of_ones_own_counts_more_than_that_of_the_deployment():
    own = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces", "OTEL_SERVICE_NAME": "shop"}
    said = variables_of(job_of(predicted(azureMonitor=True, job={"otel": own})))
    assert {it: said[it] for it in own} == own and "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" in said


def test_an_environment_without_profiles_gets_none():
    assert "workloadProfileName" not in job_of(variant("existing-environment-without-logs"))["properties"]
    assert job_of(variant("storage"))["properties"]["workloadProfileName"] == "Consumption"


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
    assert len(deployment.of_type("Microsoft.Insights/scheduledQueryRules")) == 3 * 6


def test_a_handler_of_ones_own_needs_no_edit():
    deployment = variant("own-handler")
    said = variables_of(job_of(deployment))
    assert said["LONGSHORE_COMPONENT"].startswith("oci://theirs.azurecr.io/handlers/order@sha256:")
    assert said["LONGSHORE_ALLOW_HTTP"] == "api.example.com\nhttp://intern:8080"
    assert said["LONGSHORE_ALLOW_PRIVATE"] == "10.1.0.0/16"
    assert sorted(said["LONGSHORE_CONFIG"].split("\n")) == ["currency=EUR", "region=eu"]
    assert (said["LONGSHORE_ENV"], said["LONGSHORE_OUTBOX_ENCODING"]) == ("TZ=UTC", "mails=base64")
    assert "mails=https://theirs.queue.core.windows.net/mails" in said["LONGSHORE_OUTBOX"] and "invoices" in said["LONGSHORE_OUTBOX"]
    assert said["LONGSHORE_HTTP_IDENTITY"].split("\n")[1].startswith("api.example.com/v1=api://")
    assert said["LONGSHORE_HTTP_HEADER"] == "keys.example.com=x-api-key=@API_KEY\nother.example.com=x-api-key=@OTHER_KEY"
    assert (said["LONGSHORE_BREAKER"], said["LONGSHORE_HTTP_CALLS"], said["LONGSHORE_REQUIRE_DIGEST"]) == ("10", "5", "true")
    (registry,) = job_of(deployment)["properties"]["configuration"]["registries"]
    # A registry may have more in the name of its server than its own.
    assert registry["server"].startswith("[reference(") and "loginServer" in registry["server"]


def test_a_secret_comes_from_its_vault_by_the_jobs_identity():
    job = job_of(variant("own-handler"))
    (container,) = job["properties"]["template"]["containers"]
    by_id, by_url = job["properties"]["configuration"]["secrets"]
    assert {it["name"]: it["secretRef"] for it in container["env"] if "secretRef" in it} == {"API_KEY": by_id["name"], "OTHER_KEY": by_url["name"]}
    assert re.fullmatch(r"\[.*'theirs', environment\(\).suffixes.keyvaultDns, 'api-key'.*", by_id["keyVaultUrl"])
    assert by_url["keyVaultUrl"] == "https://theirs.vault.azure.net/secrets/other-key"
    (identity,) = job["identity"]["userAssignedIdentities"]
    assert by_id["identity"] == by_url["identity"] == identity
    # Names of secrets have small letters, digits and hyphens.
    assert all(re.fullmatch("[a-z][a-z0-9-]*[a-z0-9]", it["name"]) for it in (by_id, by_url))


def test_a_container_comes_with_the_grant_for_it():
    def host(container: str, account: str = r"\w+") -> str:
        return rf"format\('\{{0\}}\.blob\.\{{1\}}/\{{2\}}', '{account}', environment\(\)\.suffixes\.storage, '{container}'\)"

    for name, job, made, grants in [
        ("containers", "", ["claims", "invoices"], ["api.example.com=api://", "'GET,HEAD ', " + host("claims")]),
        ("containers", "-invoices", ["claims", "invoices"], ["'GET,HEAD ', " + host("claims"), "'', " + host("invoices")]),
        ("existing-container", "", [], ["'GET,HEAD ', " + host("claims", "theirs")]),
        ("servicebus-container", "", ["claims"], ["'', " + host("claims")]),
    ]:
        deployment = variant(name)
        assert [it.name.split("/")[2] for it in deployment.of_type("Microsoft.Storage/storageAccounts/blobServices/containers")] == made
        said = variables_of(job_of(deployment, f"long-shore{job}"))["LONGSHORE_HTTP_IDENTITY"]
        assert re.search(".*".join(grants), said, re.S), (name, job)
    # Service Bus has no account for queues.
    assert not variant("servicebus-container").of_type("Microsoft.Storage/storageAccounts/queueServices")


def test_whichever_way_handlers_may_send_requests_their_bodies_take_memory():
    cases = [{"concurrency": 100} | it for it in ({}, {"allowHttp": ["a.example.com"]}, {"httpIdentity": ["a.blob.core.windows.net"]})]
    cases.append({"concurrency": 100, "httpHeader": ["a.example.com=x=@KEY"], "secrets": [{"variable": "KEY", "keyVaultUrl": "https://a.vault.azure.net/secrets/a"}]})
    at_once = [int(variables_of(it)["LONGSHORE_CONCURRENCY"]) for it in each_as_a_job([it | {"handlerMemoryMib": 32} for it in cases])]
    assert at_once == [(1024 - 112) // 36] + [(1024 - 112) // 46] * 3


def test_an_image_that_everybody_may_pull_needs_no_registry():
    deployment = variant("public-image")
    assert not deployment.of_type("Microsoft.ContainerRegistry/registries")
    assert job_of(deployment)["properties"]["configuration"]["registries"] == []


def test_a_poison_queue_may_be_called_otherwise():
    assert variables_of(job_of(variant("everything-exists")))["LONGSHORE_POISON_QUEUE"].endswith("'theirs', environment().suffixes.storage, 'orders-failed')]")
    assert "LONGSHORE_POISON_QUEUE" not in variables_of(job_of(variant("storage")))


def test_the_job_can_be_told_every_variable_of_the_run_and_no_other():
    sources = INFRA.parent / "host/longshore/src"
    # What `dev` reads is about a laptop that stands for the platform.
    files = [it for it in sources.glob("cli/*.rs") if it.name != "dev.rs"]
    texts = {it: it.read_text() for it in [*files, sources / "cli.rs"]}
    read_ = {name for text in texts.values() for name in re.findall(r'env = "(LONGSHORE_\w+)"', text)}
    types, job = (INFRA / "types.bicep").read_text(), (INFRA / "modules/job.bicep").read_text()
    told = set(re.findall(r"^  (LONGSHORE_\w+): string\?$", types, re.M)) | set(re.findall(r"\b(LONGSHORE_\w+)\b", job))
    # A job ends: it neither waits for changes of a file, nor runs for ever, nor asks about jobs and their logs.
    of_others = {"LONGSHORE_ARM_ENDPOINT", "LONGSHORE_JOB", "LONGSHORE_LOGS_ENDPOINT", "LONGSHORE_WORKSPACE"}
    assert read_ - told == of_others | {"LONGSHORE_FOREVER", "LONGSHORE_WATCH"}
    assert told <= read_


def test_each_default_is_what_its_description_says():
    types = (INFRA / "types.bicep").read_text()
    defaults = dict(re.findall(r"^  (\w+): (.*)$", types.partition("var defaults = {")[2].partition("\n}")[0], re.M))
    assert len(defaults) > 15
    words = {"[]": "none", "{}": "none"}
    # Other types have properties of the same names.
    types = types.partition("\ntype job = {")[2]
    for name, value in defaults.items():
        description = re.search(rf"@description\('((?:[^'\\]|\\.)*)'\)\n(?:  @.*\n)*  {name}: ", types)[1]
        assert description.endswith(f"The default is {words.get(value, value.strip(chr(39)))}."), name


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
