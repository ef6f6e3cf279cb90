"""Mistakes that are planted into a copy of the tree are found, each by the tool that is there for it."""

import shutil

import pytest

import lint

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
RELEASE = ".github/workflows/release.yml"
CI = ".github/workflows/ci.yml"

MISTAKES = {
    "an action by its tag": (lint.zizmor, RELEASE, f"uses: {CHECKOUT}", "uses: actions/checkout@v7", "unpinned-uses"),
    "a token that stays on the disk": (lint.zizmor, CI, "        with:\n          persist-credentials: false\n", "", "artipacked"),
    "a template in a script": (lint.zizmor, RELEASE, '"$GITHUB_REF_NAME" "$GITHUB_REPOSITORY"', '"${{ github.ref_name }}"', "template-injection"),
    "an input in a script of the action": (lint.zizmor, "action.yml", '"$COMPONENT" "$ADDRESS"', '"${{ inputs.component }}" "$ADDRESS"', "template-injection"),
    "rights that nobody named": (lint.zizmor, CI, "    permissions:\n      contents: read\n", "    permissions: write-all\n", "excessive-permissions"),
    "a run for strangers with our rights": (lint.zizmor, CI, "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    "updates without a pause": (lint.zizmor, ".github/dependabot.yml", "    cooldown: { default-days: 7 }\n", "", "dependabot-cooldown"),
    "a cache in a release": (
        lint.zizmor, RELEASE, "      - uses: docker/setup-buildx-action@", "      - uses: Swatinem/rust-cache@6323deb102c322ba6fcbdcafc7e3dddab59af2b6 # v2.9.2\n      - uses: docker/setup-buildx-action@", "cache-poisoning",
    ),
    "a job that is not there": (lint.actionlint, RELEASE, "needs: release\n", "needs: relaese\n", "relaese"),
    "an output that is not there": (lint.actionlint, RELEASE, "steps.joined.outputs.digest", "steps.join.outputs.digest", "join"),
    "a context that is not there": (lint.actionlint, RELEASE, "${{ github.token }}", "${{ githb.token }}", "githb"),
    "a right that is not there": (lint.actionlint, RELEASE, "contents: read", "content: read", "content"),
    "a wrong key": (lint.schemas, CI, "timeout-minutes: 60", "timeout-minute: 60", "timeout"),
    "a job without a limit": (lint.schemas, CI, "    timeout-minutes: 90\n", "", "timeout-minutes"),
    "a wrong key of the action": (lint.schemas, "action.yml", "required: true", "requird: true", "requird"),
    "an ecosystem that is not there": (lint.schemas, ".github/dependabot.yml", "package-ecosystem: cargo", "package-ecosystem: crates", "crates"),
    "a form without a kind": (lint.schemas, ".github/ISSUE_TEMPLATE/bug.yml", "  - type: input\n", "  - type: inputs\n", "inputs"),
    "an open quote": (lint.shellcheck, "install.sh", 'die "cannot replace $directory/longshore"', "die cannot replace $directory/longshore\"", "SC1"),
    "a word that splits": (lint.shellcheck, "install.sh", 'mv -f "$fresh" ', "mv -f $fresh ", "SC2086"),
    "bash in a script for sh": (lint.shellcheck, "install.sh", "set -eu\n", "set -euo pipefail\n", "SC3040"),
    "a word that splits in a step": (lint.shellcheck, RELEASE, 'test "$passed" -gt', "test $passed -gt", "SC2086"),
    "a word that splits in the action": (lint.shellcheck, "action.yml", '"${flags[@]}"', "${flags[@]}", "SC2068"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(mistake, tmp_path):
    linter, file, right, wrong, said = MISTAKES[mistake]
    shutil.copytree(lint.ROOT / ".github", tmp_path / ".github")
    for it in ("install.sh", "action.yml", "release/archive.sh"):
        (tmp_path / it).parent.mkdir(exist_ok=True)
        shutil.copy(lint.ROOT / it, tmp_path / it)
    text = (tmp_path / file).read_text()
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong))
    # The schemas take a second each: those of the other files have nothing to say.
    found = linter(tmp_path, file) if linter is lint.schemas else linter(tmp_path)
    assert said in "\n".join(found)
