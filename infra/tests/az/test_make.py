"""The targets of azure.mk deploy the templates. A stand-in for `az` writes down its calls, and the real `az` reads them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from knack.util import CLIError

from commands import ROOT
from parser import complaint, process_parameters

INFRA = ROOT / "infra"

# Answers with what a test has put there for a command, else with one word, as lookups do.
STAND_IN = """#!/bin/sh
{ printf '%s\\037' "$@"; echo; } >> "$STAND_IN/calls"
# What jobs are asked for stands at the end.
case "$*" in "containerapp job list "*.image*0]) set -- containerapp job image ;; "containerapp job list "*.server*) set -- containerapp job server ;; esac
for name in "$1-$2-$3-$4" "$1-$2-$3"; do
    if test -f "$STAND_IN/$name"; then cat "$STAND_IN/$name"; exit; fi
done
if test -f "$STAND_IN/fails-$1-$2-$3"; then exit 1; fi
echo looked-up
"""
# What azd is asked for is written down in the same way.
AZD = """#!/bin/sh
{ printf '%s\\037' azd "$@"; echo; } >> "$STAND_IN/calls"
"""

NAME = "long-shore"
MINE = ("AZURE_RESOURCE_GROUP=given",)


class Call(list):
    """The words of one call of `az`, without `az` itself."""

    def named(self, words: str) -> bool:
        return self[: len(words.split())] == words.split()

    def flag(self, name: str) -> str:
        assert f"--{name}" in self, f"no --{name} in {self}"
        return self[self.index(f"--{name}") + 1]

    def parameters(self) -> dict[str, str]:
        return dict(it.split("=", 1) for it in self[self.index("--parameters") + 1 :])


class Cloud:
    """A folder in whose `bin` are the stand-ins."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name, text in {"az": STAND_IN, "azd": AZD}.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "STAND_IN": str(folder)}

    def answers(self, command: str, text: str) -> None:
        (self.folder / command.replace(" ", "-")).write_text(text)

    def fails(self, command: str) -> None:
        (self.folder / f"fails-{command.replace(' ', '-')}").write_text("")

    def run(self, words: list, cwd: Path = ROOT) -> list[Call]:
        ran = self.ran(words, cwd)
        assert ran.returncode == 0, ran.stderr
        return self.calls()

    def ran(self, words: list, cwd: Path = ROOT) -> subprocess.CompletedProcess:
        (self.folder / "calls").write_text("")
        return subprocess.run(words, cwd=cwd, env=self.environment, capture_output=True, text=True)

    def calls(self) -> list[Call]:
        return [Call(it.split("\037")[:-1]) for it in (self.folder / "calls").read_text().splitlines()]

    def make(self, *words: str, file: Path = INFRA / "azure.mk") -> list[Call]:
        return self.run(["make", "--no-print-directory", "--file", file, f"NAME={NAME}", *words])


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    made = Cloud(tmp_path)
    made.answers("containerapp job list", f"{NAME}\n{NAME}-manual\n")
    made.answers("role definition list", "role-1\n")
    made.answers("role assignment list", "/right-1\n/right-2\n")
    return made


def one(calls: list[Call], words: str) -> Call:
    """The one call of a command."""
    found = [it for it in calls if it.named(words)]
    assert len(found) == 1, f"{len(found)} times az {words}"
    return found[0]


EVERY_TARGET = ["azure", "azure-what-if", "azure-image-name", "azure-role-remove"]
VARIANTS = [
    (*EVERY_TARGET, "azure-remove"),
    (*EVERY_TARGET, *MINE),
    ("azure", "SUBSCRIPTION=theirs", "REGISTRY=ours", "PARAMETERS=@mine.json queueService=servicebus"),
    ("azure", "IMAGE=ours.azurecr.io/it:1"),
]


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_the_real_az_takes_each_call(cloud, variant):
    refused = {" ".join(it): said for it in cloud.make(*variant) if (said := complaint(it))}
    assert not refused


def test_no_command_of_make_is_left_out(cloud):
    called = [it for variant in VARIANTS for it in cloud.make(*variant)]
    recipes = re.sub(r"^#.*$", "", (INFRA / "azure.mk").read_text(), flags=re.M)
    written = set(re.findall(r"\baz ((?:[a-z-]+ )*[a-z-]+)(?= |$)", recipes.replace("\\\n", "")))
    # This is the one whose second word depends on a variable.
    written = written - {"deployment"} | {"deployment sub create", "deployment group create"}
    assert len(written) >= 9
    for words in written:
        assert any(it.named(words) for it in called), words


def test_a_group_is_made_with_all_that_is_in_it(cloud):
    call = one(cloud.make("azure"), "deployment sub create")
    assert (call.flag("location"), call.flag("template-file")) == ("westeurope", "infra/subscription.bicep")
    assert "--resource-group" not in call


def test_a_group_that_was_given_gets_what_belongs_into_it(cloud):
    calls = cloud.make("azure", *MINE)
    call = one(calls, "deployment group create")
    assert (call.flag("resource-group"), call.flag("template-file")) == ("given", "infra/main.bicep")
    # Where the group is, unless another region is named.
    assert "--location" not in call and "location" not in call.parameters()
    assert one(cloud.make("azure", *MINE, "LOCATION=norwayeast"), "deployment group create").parameters()["location"] == "norwayeast"
    assert {it.flag("resource-group") for it in calls if "--resource-group" in it} == {"given"}


def test_az_reads_the_parameters_as_the_template_declares_them(cloud):
    call = one(cloud.make("azure", 'JOB={"lease": "fixed", "cpu": "1.0"}', "PARAMETERS=assignRoles=false jobs='[{}]'"), "deployment sub create")
    template = json.loads((INFRA / "azuredeploy.json").read_text())
    read = process_parameters(template, [call[call.index("--parameters") + 1 :]])
    assert {name: it["value"] for name, it in read.items()} == {
        "name": NAME,
        "location": "westeurope",
        "operatorPrincipalId": "looked-up",
        "image": "looked-up",
        "job": {"lease": "fixed", "cpu": "1.0"},
        "assignRoles": False,
        "jobs": [{}],
    }


def test_what_if_asks_about_what_azure_does(cloud):
    for scope in ([], MINE):
        (asked,) = [it for it in cloud.make("azure-what-if", *scope) if it.named("deployment")]
        (done,) = [it for it in cloud.make("azure", *scope) if it.named("deployment")]
        assert [asked[2], done[2]] == ["what-if", "create"] and asked[3:] == done[3:]


def test_the_first_deployment_names_no_image_and_a_later_one_keeps_it(cloud):
    cloud.fails("containerapp job image")
    assert "image" not in one(cloud.make("azure-template"), "deployment sub create").parameters()
    cloud.answers("containerapp job image", "ours.azurecr.io/longshore:1\n")
    assert one(cloud.make("azure-template"), "deployment sub create").parameters().get("image") == "ours.azurecr.io/longshore:1"


def test_an_image_that_is_there_is_not_built(cloud):
    calls = cloud.make("azure", "IMAGE=ours.azurecr.io/it:1")
    assert one(calls, "deployment sub create").parameters()["image"] == "ours.azurecr.io/it:1"
    assert not any(it.named("acr") or it.named("containerapp") for it in calls)


def test_the_jobs_get_the_image_that_was_built(cloud):
    calls = cloud.make("azure", "IMAGE_TAG=t1", "REGISTRY=ours")
    build = one(calls, "acr build")
    assert (build.flag("registry"), build.flag("image")) == ("ours", "longshore:t1")
    updates = [it for it in calls if it.named("containerapp job update")]
    assert [it.flag("name") for it in updates] == [NAME, f"{NAME}-manual"]
    assert {it.flag("image") for it in updates} == {"ours.azurecr.io/longshore:t1"}
    assert calls.index(one(calls, "deployment sub create")) < calls.index(build) < calls.index(updates[0])


def test_the_image_is_built_where_the_job_pulls_from(cloud):
    cloud.answers("containerapp job server", "ours.azurecr.io\n")
    calls = cloud.make("azure-image", "azure-image-use", "IMAGE_TAG=t1")
    assert one(calls, "acr build").flag("registry") == "ours"
    assert {it.flag("image") for it in calls if it.named("containerapp job update")} == {"ours.azurecr.io/longshore:t1"}


def test_only_jobs_of_that_name_that_drain_a_queue_get_it(cloud):
    jmespath = pytest.importorskip("jmespath")
    query = one(cloud.make("azure-image-use", "REGISTRY=ours"), "containerapp job list").flag("query")
    jobs = [
        {
            "name": name,
            "properties": {
                "configuration": {"registries": [{"server": "ours.azurecr.io"}]},
                "template": {"containers": [{"image": "ours.azurecr.io/it:1", "env": env and [{"name": it} for it in env]}]},
            },
        }
        for name, env in [
            (f"{NAME}-import", None),
            (f"{NAME}-invoices", ["TZ", "LONGSHORE_QUEUE"]),
            (f"{NAME}-export", ["TZ"]),
            (f"{NAME}er", ["LONGSHORE_QUEUE"]),
            (NAME, ["LONGSHORE_QUEUE"]),
            ("their-job", ["LONGSHORE_QUEUE"]),
        ]
    ]
    assert jmespath.search(query, jobs) == [f"{NAME}-invoices", NAME]
    # Whichever job is there says what runs: each may have a name of its own.
    queries = [it.flag("query") for it in cloud.make("azure-template", "azure-image") if it.named("containerapp job list")]
    assert [jmespath.search(it, jobs) for it in queries] == ["ours.azurecr.io/it:1", "ours.azurecr.io"]


def test_who_may_operate_is_who_is_logged_in_unless_somebody_is_named(cloud):
    call = one(cloud.make("azure", "OPERATOR=team"), "deployment sub create")
    assert call.parameters()["operatorPrincipalId"] == "team"
    cloud.fails("ad signed-in-user show")
    ran = cloud.ran(["make", "azure-template"])
    assert ran.returncode != 0 and not any(it.named("deployment") for it in cloud.calls())


def test_every_command_works_in_the_subscription_that_is_named(cloud):
    targets = [*EVERY_TARGET, "azure-remove"]
    for it in cloud.make(*targets, "SUBSCRIPTION=theirs"):
        assert it.named("ad") or it.flag("subscription") == "theirs", it
    assert not any("--subscription" in it for it in cloud.make(*targets))


def test_the_right_to_renew_goes_with_its_role_and_the_group_last(cloud):
    calls = cloud.make("azure-remove")
    # The role of the template is found by the words that its name begins with.
    words = re.search(r"'(.*)'", one(calls, "role definition list").flag("query"))[1]
    assert f"'{words.replace(NAME, '${base}')}${{uniqueString(" in (INFRA / "modules/grants.bicep").read_text()
    assert "role-1" in one(calls, "role assignment list").flag("query")
    assert [it for it in calls if "delete" in it] == [
        ["role", "assignment", "delete", "--ids", "/right-1", "/right-2"],
        ["role", "definition", "delete", "--resource-group", f"rg-{NAME}", "--custom-role-only", "true", "--name", "role-1"],
        ["group", "delete", "--name", f"rg-{NAME}"],
    ]


def test_there_may_be_no_right_to_renew(cloud):
    cloud.answers("role assignment list", "")
    assert [it[1] for it in cloud.make("azure-role-remove") if "delete" in it] == ["definition"]
    cloud.answers("role definition list", "")
    assert not any("delete" in it for it in cloud.make("azure-role-remove"))


def test_a_group_that_was_given_is_not_removed(cloud):
    ran = cloud.ran(["make", "azure-remove", "AZURE_RESOURCE_GROUP=given"])
    assert ran.returncode != 0 and "given" in ran.stderr and not cloud.calls()


def azd_file() -> str:
    return (INFRA / "azure.yaml").read_text()


def test_azd_deploys_the_template_of_make():
    module = re.search(r"^  module: (\w+)$", azd_file(), re.M)[1]
    assert f"SUBSCRIPTION_TEMPLATE := infra/{module}.bicep" in (INFRA / "azure.mk").read_text()


def test_the_hook_of_azd_does_what_azure_does_behind_the_template(cloud):
    hook = " ".join(re.search(r"run: >-\n(.*)", azd_file(), re.S)[1].split())
    cloud.environment |= {
        "AZURE_SUBSCRIPTION_ID": "theirs",
        "LONGSHORE_NAME": NAME,
        "AZURE_RESOURCE_GROUP": "made",
        "AZURE_CONTAINER_REGISTRY_NAME": "ours",
    }
    calls = cloud.run(["sh", "-c", hook], cwd=INFRA)
    same = cloud.make("azure-image", "azure-image-use", "SUBSCRIPTION=theirs", "AZURE_RESOURCE_GROUP=made", "REGISTRY=ours")
    assert calls[:-1] == same
    image = one(same[2:3], "containerapp job update").flag("image")
    assert calls[-1] == ["azd", "env", "set", "LONGSHORE_IMAGE", image]


# Each mistake is planted into a copy: what stands there, what is planted, and the test that has to fail.
MISTAKES = [
    ("--template-file $(GROUP_TEMPLATE)", "--template-file $(SUBSCRIPTION_TEMPLATE)", test_a_group_that_was_given_gets_what_belongs_into_it),
    ("infra/subscription.bicep", "infra/main.bicep", test_a_group_is_made_with_all_that_is_in_it),
    ("operatorPrincipalId=", "operatorId=", test_az_reads_the_parameters_as_the_template_declares_them),
    ("job='$(JOB)'", "job=$(JOB)", test_az_reads_the_parameters_as_the_template_declares_them),
    ("$${image:+", "$${image+", test_the_first_deployment_names_no_image_and_a_later_one_keeps_it),
    ("$(or $(IMAGE),$(RUNNING))", "$(IMAGE)", test_the_first_deployment_names_no_image_and_a_later_one_keeps_it),
    ("$(if $(IMAGE),,azure-image azure-image-use)", "azure-image azure-image-use", test_an_image_that_is_there_is_not_built),
    ("azure-template $(if", "$(if", test_the_jobs_get_the_image_that_was_built),
    ("(name == '$(NAME)' || starts_with(name, '$(NAME)-')) && ", "", test_only_jobs_of_that_name_that_drain_a_queue_get_it),
    ("az acr build $(ON)", "az acr build", test_every_command_works_in_the_subscription_that_is_named),
    ("azure-not-ours,azure-role-remove)", "azure-not-ours,)", test_the_right_to_renew_goes_with_its_role_and_the_group_last),
    (" | cut -d . -f 1", "", test_the_image_is_built_where_the_job_pulls_from),
    ("xargs -r", "xargs", test_there_may_be_no_right_to_renew),
]


@pytest.mark.parametrize(("there", "planted", "finds"), MISTAKES, ids=[f"{it[0]} is {it[1] or 'gone'}" for it in MISTAKES])
def test_a_planted_mistake_in_make_is_found(cloud, tmp_path, there, planted, finds):
    whole = (INFRA / "azure.mk").read_text()
    assert there in whole
    copy = tmp_path / "azure.mk"
    copy.write_text(whole.replace(there, planted))
    genuine = cloud.make
    cloud.make = lambda *words: genuine(*words, file=copy)
    with pytest.raises((AssertionError, CLIError)):
        finds(cloud)


@pytest.mark.parametrize(("there", "planted"), [("--template-file", "--template"), ("az group delete --name", "az group remove --name"), ("--timeout 3600", "--timeout 1h")])
def test_az_refuses_a_planted_mistake_in_make(cloud, tmp_path, there, planted):
    copy = tmp_path / "azure.mk"
    copy.write_text((INFRA / "azure.mk").read_text().replace(there, planted))
    assert any(complaint(it) for it in cloud.make("azure", "azure-remove", file=copy))
