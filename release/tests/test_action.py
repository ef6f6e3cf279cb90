"""The action's own steps push a handler to a real registry with the real program, and call `az` by words that it knows."""

import json
import os
import re
import shlex
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

import release

ROOT = release.ROOT
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {it["name"]: it for it in ACTION["runs"]["steps"]}
LONGSHORE = Path(os.environ["LONGSHORE_BINARY"])
HANDLER = ROOT / "guest/target/wasm32-wasip2/release/order.wasm"
AZ = ROOT / "infra/tests/az"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Debian's docker-registry, without a login."""
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (folder / "log").open("w") as log:
        serving = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        for _ in range(600):
            if serving.poll() is not None:
                pytest.fail((folder / "log").read_text())
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        serving.terminate()
        serving.wait()


class Runner:
    """What GitHub's runner does with the steps of a composite action, as far as these use it."""

    def __init__(self, folder: Path, **inputs: str):
        self.folder = folder
        self.inputs = {name: it.get("default") for name, it in ACTION["inputs"].items()} | {it.replace("_", "-"): value for it, value in inputs.items()}
        self.outputs: dict[str, str] = {}
        (folder / "longshore").mkdir(exist_ok=True)
        (folder / "longshore/longshore").unlink(missing_ok=True)
        (folder / "longshore/longshore").symlink_to(LONGSHORE)

    def value(self, text: str) -> str:
        known = {
            "runner.temp": str(self.folder), "github.action_path": str(ROOT), "github.token": "none",
            "github.action_repository || github.repository": "somebody/longshore",
            **{f"inputs.{name}": value or "" for name, value in self.inputs.items()},
            **{f"steps.push.outputs.{name}": value for name, value in self.outputs.items()},
        }  # fmt: skip
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda it: known[it[1]], text)

    def step(self, name: str, **variables: str) -> subprocess.CompletedProcess:
        step = STEPS[name]
        files = {it: self.folder / it for it in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for it in files.values():
            it.write_text("")
        given = {it: self.value(value) for it, value in step.get("env", {}).items()}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | {it: str(file) for it, file in files.items()} | given | variables
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env=environment, cwd=self.folder, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if "id" in step:
            self.outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return done


@pytest.mark.parametrize("precompiled", ["true", "false"])
def test_a_handler_is_pushed_and_named_by_its_digest(registry, tmp_path, precompiled):
    runner = Runner(tmp_path, component=str(HANDLER), address=f"oci://{registry}/handlers/order:{precompiled}", precompiled=precompiled)
    done = runner.step("Push the handler")
    assert done.returncode == 0, done.stderr
    address = runner.outputs["address"]
    assert re.fullmatch(rf"oci://{re.escape(registry)}/handlers/order@sha256:[0-9a-f]{{64}}", address)
    assert runner.value(ACTION["outputs"]["address"]["value"]) == address
    repository = address.removeprefix(f"oci://{registry}/")
    name, _, digest = repository.partition("@")
    accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://{registry}/v2/{name}/manifests/{digest}", headers=accept), timeout=30) as answer:
        assert len(json.load(answer)["layers"]) == (2 if precompiled == "true" else 1)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"precompiled": "yes"}, "precompiled is yes"),
        ({"component": "missing.wasm"}, "missing.wasm"),
        ({"component": str(ROOT / "action.yml")}, "action.yml"),
    ],
)
def test_a_push_that_fails_ends_the_step_and_names_no_digest(registry, tmp_path, inputs, said):
    runner = Runner(tmp_path, **({"component": str(HANDLER), "address": f"oci://{registry}/handlers/order:1", "precompiled": "false"} | inputs))
    done = runner.step("Push the handler")
    assert done.returncode != 0 and said in done.stdout + done.stderr
    assert runner.outputs == {}


@pytest.mark.parametrize(("inputs", "version"), [({}, release.version()), ({"version": "9.9.9"}, "9.9.9")])
def test_the_version_that_is_installed_is_that_of_the_action_or_the_one_that_is_asked_for(tmp_path, inputs, version):
    runner = Runner(tmp_path, **inputs)
    (tmp_path / "longshore/longshore").unlink()
    done = runner.step("Install longshore", LONGSHORE_RELEASES_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode != 0 and f"/download/v{version}/sha256.sum" in done.stderr


def test_az_takes_the_command_that_points_the_job_at_the_digest(tmp_path):
    # What the step would call, as the shell makes it.
    runner = Runner(tmp_path, job="orders", resource_group="rg-orders")
    runner.outputs = {"address": "oci://acme.azurecr.io/handlers/order@sha256:0"}
    (tmp_path / "az").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "az").chmod(0o755)
    said = runner.step("Point the job at it", PATH=f"{tmp_path}:{os.environ['PATH']}")
    words = said.stdout.splitlines()
    assert said.returncode == 0 and f"LONGSHORE_COMPONENT={runner.outputs['address']}" in words and {"orders", "rg-orders"} <= set(words)
    ask = f"import sys; sys.path.insert(0, {str(AZ)!r}); from parser import complaint; print(complaint(sys.argv[1:]), complaint([*sys.argv[1:], '--nonsense']))"
    parser = [AZ / ".venv/bin/python", "-c", ask]
    judged = subprocess.run([*parser, *words], capture_output=True, text=True, timeout=300)
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.startswith("None ") and "--nonsense" in judged.stdout, shlex.join(words)


def test_a_job_without_its_group_is_refused_before_anything_is_pushed(tmp_path):
    assert next(iter(STEPS)) == "Refuse a job without its resource group"
    assert Runner(tmp_path).step(next(iter(STEPS))).returncode == 1
    assert STEPS[next(iter(STEPS))]["if"] == "inputs.job != '' && inputs.resource-group == ''"
    assert STEPS["Point the job at it"]["if"] == "inputs.job != ''"


def test_every_input_is_used_and_the_runner_needs_no_python():
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert not [it for it in STEPS.values() if "python" in it["run"]]
