"""What has to be one thing everywhere: actions by digest, rights, names of archives, versions, the repository's name, what crates hold."""

import json
import os
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import release

ROOT = release.ROOT
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
RELEASE = ROOT / ".github/workflows/release.yml"
# Rights that let a workflow change something, and the one job of each that has them.
WRITES = {
    "build": {"packages"},
    "images": {"packages", "id-token", "attestations"},
    "release": {"contents", "id-token", "attestations"},
    "crates": {"id-token"},
}


def read(path) -> dict:
    # YAML 1.1 reads the key `on` as true.
    return yaml.safe_load(path.read_text())


def steps(path) -> list[dict]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda it: it.name)
def test_actions_are_named_by_digest_with_their_version(path):
    used = re.findall(r"^ *-? *uses: (.*)$", path.read_text(), re.M)
    assert used or path.name == "action.yml"
    for it in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it), it


def test_an_action_has_one_digest_everywhere():
    used = {it for path in WORKFLOWS for it in re.findall(r"uses: (\S+) # (\S+)", path.read_text())}
    names = [it.partition("@")[0] for it, _ in used]
    assert len(names) == len(set(names)), sorted(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda it: it.name)
def test_a_workflow_has_no_rights_and_each_job_says_which_it_needs(path):
    workflow = read(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        assert writes == (WRITES.get(name, set()) if path == RELEASE else set()), name


def test_a_release_takes_nothing_from_a_cache():
    assert not [it for it in steps(RELEASE) if "cache" in json.dumps(it)]


def test_a_release_is_built_only_of_what_was_verified():
    jobs = read(RELEASE)["jobs"]
    behind = {name: {job["needs"]} if isinstance(job.get("needs"), str) else set(job.get("needs", [])) for name, job in jobs.items()}
    for name in behind:
        seen, ahead = set(), {name}
        while ahead:
            seen |= ahead
            ahead = {it for job in ahead for it in behind[job]} - seen
        assert "verify" in seen, name
    # A crate cannot be taken back, so that it goes last.
    assert behind["crates"] == {"release"} and not [it for it in behind.values() if "crates" in it]


def test_archives_have_one_name_wherever_they_are_made_or_fetched():
    metadata = tomllib.loads((ROOT / "host/longshore/Cargo.toml").read_text())["package"]["metadata"]["binstall"]
    repository = release.repositories()["Cargo.toml"]
    for it in json.loads((ROOT / "release/targets.json").read_text()):
        known = {
            "repo": f"https://github.com/{repository}", "name": "longshore", "version": "1.2.3", "target": it["target"],
            "archive-suffix": {"tgz": ".tar.gz"}[metadata["pkg-fmt"]], "bin": "longshore", "binary-ext": "",
        }  # fmt: skip
        folder, _, program = filled(metadata["bin-dir"], known).rpartition("/")
        address = filled(metadata["pkg-url"], known)
        assert (folder, program) == (f"longshore-v1.2.3-{it['target']}", "longshore")
        assert address == f"https://github.com/{repository}/releases/download/v1.2.3/{folder}.tar.gz"
        # What install.sh can find is what test_install.py installs, from archives that archive.sh has made.
        assert f"echo {it['target']} " in (ROOT / "install.sh").read_text()


def filled(template: str, known: dict[str, str]) -> str:
    return re.sub(r"\{ ([\w-]+) \}", lambda it: known[it[1]], template)


def test_an_archive_has_what_shells_and_man_read_as_the_program_writes_it(tmp_path):
    binary = Path(os.environ["LONGSHORE_BINARY"]).absolute()
    # The tests' own program has its debug information: packing that takes longer than compiling a handler.
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {binary} "$@"\n')
    program.chmod(0o755)
    command = [ROOT / "release/archive.sh", program, "1.2.3", "here", tmp_path]
    # The program knows no such variable, and refuses what it does not know.
    environment = {name: value for name, value in os.environ.items() if name != "LONGSHORE_BINARY"}
    subprocess.run(command, env=environment, check=True)
    with tarfile.open(tmp_path / "longshore-v1.2.3-here.tar.gz") as archive:
        files = {it.name.partition("/")[2]: it for it in archive.getmembers() if it.isfile()}
        read = {name: archive.extractfile(it).read().decode() for name, it in files.items()}
    shells = {"longshore.bash": "bash", "longshore.elv": "elvish", "longshore.fish": "fish", "_longshore.ps1": "powershell", "_longshore": "zsh"}
    for file, shell in shells.items():
        assert read.pop(f"completions/{file}") == subprocess.check_output([binary, "completions", shell], env=environment, text=True), shell
    assert "longshore-run" in read["man/man1/longshore-run.1"]
    assert {it for it in read if not it.startswith("man/man1/")} == {"longshore", "LICENSE", "README.md", "CHANGELOG.md"}
    assert {oct(it.mode) for name, it in files.items() if name != "longshore"} == {"0o644"}
    assert files["longshore"].mode == 0o755


def test_no_archive_has_a_program_that_the_oldest_promised_system_does_not_load(tmp_path):
    (tmp_path / "program.c").write_text("int one; int *address = &one; int main(void) { return 0; }\n")
    for flags, is_made in [("-Wl,-z,nopack-relative-relocs", True), ("-Wl,-z,pack-relative-relocs", False)]:
        program = tmp_path / "program"
        subprocess.run(["cc", "-pie", "-fPIE", flags, "-o", program, tmp_path / "program.c"], check=True)
        command = [ROOT / "release/archive.sh", program, "1.2.3", "here", tmp_path / "archives"]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (made.returncode == 0) == is_made, made.stderr
        assert is_made or "GLIBC_ABI_DT_RELR" in made.stderr
    # The program of an archive is built as the archive's, and not as the image's.
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    assert re.search(r"--build-arg PACKED_RELOCATIONS=0 --output type=local", workflow)
    assert "ARG PACKED_RELOCATIONS=1" in (ROOT / "Dockerfile").read_text()


def test_install_sh_names_no_target_that_is_not_built():
    built = {it["target"] for it in json.loads((ROOT / "release/targets.json").read_text())}
    assert set(re.findall(r"echo (\S+-unknown-\S+) ", (ROOT / "install.sh").read_text())) == built
    assert set(re.findall(r'"(\w+-unknown-linux-\w+)"', (ROOT / "deny.toml").read_text())) == built


def test_the_release_makes_what_its_notes_and_its_users_ask_for():
    script = "\n".join(it.get("run", "") for it in steps(RELEASE))
    for it in ["release/archive.sh", "auditable2cdx", "azuredeploy.json", "release.py stamp", "release.py notes", "sha256sum -- *", "--verify-tag --draft"]:
        assert it in script
    notes = release.notes("Somebody/longshore")
    tag = f"v{release.version()}"
    assert f"https://github.com/Somebody/longshore/releases/download/{tag}/install.sh" in notes
    assert f"ghcr.io/somebody/longshore:{release.version()}" in notes
    button = f"https%3A%2F%2Fraw.githubusercontent.com%2FSomebody%2Flongshore%2F{tag}%2Finfra%2Fazuredeploy.json"
    assert f"https://portal.azure.com/#create/Microsoft.Template/uri/{button})" in notes
    assert "### Added" in notes


def test_images_that_are_built_are_targets_of_the_dockerfile():
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.M))
    wanted = {it["with"]["target"] for it in steps(RELEASE) if "target" in it.get("with", {})}
    for path in WORKFLOWS:
        wanted |= set(re.findall(r"docker (?:buildx )?build --target (\S+)", path.read_text()))
    assert wanted == {"host-only", "release"} and wanted <= stages


def test_the_change_log_begins_with_the_version_of_cargo_toml():
    assert next(iter(release.changes())) == release.version()
    date, text = release.changes()[release.version()]
    assert date and re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", date)
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_all_workspaces_have_one_version_and_one_compiler():
    packages = [tomllib.loads((ROOT / it).read_text())["workspace"]["package"] for it in ("Cargo.toml", "guest/Cargo.toml", "examples/Cargo.toml")]
    assert len({(it["version"], it["rust-version"], it["edition"], it["license"]) for it in packages}) == 1


def test_the_repository_has_one_name_everywhere():
    assert len(set(release.repositories().values())) == 1, release.repositories()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of what release.py reads, which may be changed."""
    for it in [*release.NAMED_IN, "CHANGELOG.md", "release/targets.json"]:
        (tmp_path / it).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / it).write_text((ROOT / it).read_text())
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


def ready(tree) -> str:
    """Makes the copy one that may be released; returns its tag."""
    release.name_repository("somebody/longshore")
    log = tree / "CHANGELOG.md"
    log.write_text(re.sub(r"^(## \[[^]]+\]) - .*$", r"\1 - 2026-12-01", log.read_text(), flags=re.M))
    return f"v{release.version()}"


def test_a_tag_that_agrees_with_everything_is_a_release(tree):
    assert release.problems(ready(tree), "somebody/longshore") == []


def test_one_command_names_the_repository_everywhere(tree):
    release.main(["repository", "somebody/else"])
    assert set(release.repositories().values()) == {"somebody/else"}
    assert set(release.repositories()) == set(release.NAMED_IN)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("Cargo.toml", 'version = "0.1.0"', 'version = "0.2.0"', "Cargo.toml has version 0.2.0"),
        ("CHANGELOG.md", "## [0.1.0]", "## [0.0.9]", "CHANGELOG.md begins with 0.0.9"),
        ("CHANGELOG.md", " - 2026-12-01", " - unreleased", "has no date"),
        ("install.sh", "REPOSITORY=somebody/", "REPOSITORY=nobody/", "install.sh names nobody/longshore"),
        ("guest/Cargo.toml", "somebody/longshore", "somebody/other", "guest/Cargo.toml names somebody/other"),
    ],
)
def test_a_tag_that_disagrees_is_no_release(tree, file, old, new, said):
    tag = ready(tree)
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new, 1))
    assert [it for it in release.problems(tag, "somebody/longshore") if said in it]


def test_a_placeholder_is_never_released():
    if release.PLACEHOLDER in release.repositories().values():
        assert [it for it in release.problems(f"v{release.version()}", "somebody/longshore") if "make release-repository" in it]
    assert f"UNKNOWN={release.PLACEHOLDER}\n" in (ROOT / "install.sh").read_text()


def metadata(manifest: str) -> list[dict]:
    said = subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version", "1", "--manifest-path", ROOT / manifest], text=True)
    return json.loads(said)["packages"]


@pytest.mark.parametrize("manifest", ["Cargo.toml", "guest/Cargo.toml", "examples/Cargo.toml"])
def test_the_sdk_is_the_only_crate_that_is_published(manifest):
    published = [it["name"] for it in metadata(manifest) if it["publish"] is None]
    assert published == (["longshore-guest"] if manifest == "guest/Cargo.toml" else [])


def test_the_published_crate_says_what_its_registry_asks_for():
    (crate,) = [it for it in metadata("guest/Cargo.toml") if it["publish"] is None]
    for it in ("description", "license", "repository", "rust_version"):
        assert crate[it], it
    assert 1 <= len(crate["keywords"]) <= 5 and crate["categories"]
    # A path alone means nothing to who has no clone.
    assert not [it["name"] for it in crate["dependencies"] if it.get("path") and it["kind"] != "dev"]


def test_the_published_crate_holds_what_it_is_built_from():
    listed = subprocess.check_output(
        ["cargo", "package", "--list", "--allow-dirty", "--package", "longshore-guest", "--manifest-path", ROOT / "guest/Cargo.toml"], text=True
    ).split()
    sources = {str(it.relative_to(ROOT / "guest/sdk")) for it in (ROOT / "guest/sdk/src").rglob("*.rs")}
    assert sources <= set(listed)
    # What a macro reads while the crate is compiled is a file of the crate.
    assert "LICENSE" in listed
    for it in re.findall(r'path: "([^"]+)"', (ROOT / "guest/sdk/src/lib.rs").read_text()):
        assert not it.startswith(".."), f"the crate reads {it}, which is outside of it"
        assert [file for file in listed if file.startswith(f"{it}/")], it


def test_each_commit_on_main_has_a_run_of_its_own():
    # GitHub keeps one waiting run of a group. A commit whose run was replaced could never be released.
    group = read(ROOT / ".github/workflows/ci.yml")["concurrency"]["group"]
    assert "github.event_name == 'push' && github.sha || github.ref" in group


def test_a_tier_that_runs_handlers_in_python_and_javascript_says_which_versions_it_has():
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    oldest = {
        "python-version": tomllib.loads((ROOT / "guest/python/pyproject.toml").read_text())["project"]["requires-python"],
        "node-version": json.loads((ROOT / "guest/js/package.json").read_text())["engines"]["node"],
    }
    chosen = {key: it["with"][key] for it in jobs["test-services"]["steps"] for key in oldest if key in it.get("with", {})}
    assert {key: f">={it}" for key, it in chosen.items()} == oldest
    for include in jobs["newer"]["strategy"]["matrix"]["include"]:
        assert float(include["node"]) > float(chosen["node-version"])
        assert float(include["python"]) > float(chosen["python-version"])


@pytest.mark.parametrize("package", ["sdk", "python", "js"])
def test_each_package_for_handlers_has_the_licence(package):
    assert (ROOT / "guest" / package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_dependabot_looks_at_every_file_that_pins_something():
    kinds = {"Cargo.lock": "cargo", "package-lock.json": "npm", "requirements.txt": "pip", "Dockerfile": "docker"}
    asked: dict[str, list[str]] = {}
    for it in read(ROOT / ".github/dependabot.yml")["updates"]:
        asked.setdefault(it["package-ecosystem"], []).extend(it.get("directories") or [it["directory"]])
        assert it["cooldown"]["default-days"] >= 7 and it["groups"]
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    for file in listed:
        folder, _, name = f"/{file}".rpartition("/")
        if name in kinds:
            patterns = [re.escape(it).replace(r"\*", "[^/]+") for it in asked[kinds[name]]]
            assert [it for it in patterns if re.fullmatch(it, folder or "/")], file
    assert asked["github-actions"] == ["/"]


def test_ci_runs_the_tiers_of_ci_run():
    # Behind options such as --jobs, and in .ci/run behind what takes the time of each.
    made = re.compile(r"^(?:part )?make (?:--\S+ )*(.+)$", re.M)
    tiers = {it for line in made.findall((ROOT / ".ci/run").read_text()) for it in line.split()}
    assert tiers
    jobs = steps(ROOT / ".github/workflows/ci.yml")
    assert tiers == {it for step in jobs for line in made.findall(step.get("run", "")) for it in line.split()}
