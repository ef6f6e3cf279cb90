"""Each `az` command that people are shown is one that the real `az` takes."""

import re

import pytest

from commands import ROOT, in_bicep, in_markdown, in_rust, of_tree
from parser import complaint

ALL = of_tree()


@pytest.mark.parametrize("shown", ALL, ids=lambda it: f"{it.file}: az {' '.join(it.words)}")
def test_az_takes_the_command(shown):
    assert complaint(list(shown.words)) is None


def test_no_hint_of_the_binary_is_overlooked():
    # Comments say `az` as well, and nobody is shown them.
    for file in (ROOT / "host").rglob("*.rs"):
        if "/tests/" in str(file) or "/target/" in str(file) or file.name in ("fuzz.rs", "tests.rs"):
            continue
        code = re.sub(r"//[^\n]*(?=\n)", "", file.read_text().partition("#[cfg(test)]")[0])
        assert len(re.findall(r"\baz [a-z]", code)) == len(in_rust(file.read_text())), file


def test_docs_and_hints_show_commands():
    assert {it.file for it in ALL} >= {"README.md", "host/azure/src/jobs.rs", "host/queue/src/kind.rs"}


def test_make_knows_the_targets_and_variables_that_pages_show():
    rules = (ROOT / "infra/azure.mk").read_text()
    shown = [
        line
        for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for line in re.findall(r"make (azure[^`#\n]*)", file.read_text())
    ]
    assert len(shown) >= 4
    for line in shown:
        target, *words = line.split()
        assert re.search(rf"^{target}:", rules, re.M), line
        for variable in re.findall(r"(?<!\S)([A-Z_]+)=", " ".join(words)):
            assert re.search(rf"^{variable} *=", rules, re.M), line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("containerapp job lst", "there is no command"),
        ("containerap job list", "there is no command"),
        ("group delete --nam x", "there is no flag --nam"),
        ("group delete", "--name"),
        ("role assignment delete --id x", "there is no flag --id"),
        ("acr build --registry x --timeout soon .", "soon"),
        ("servicebus queue show --query maxDeliveryCount", "--namespace-name"),
        ("containerapp job list --query [].id]", "--query"),
        ("deployment sub create --name x --template-file y", "--location"),
        ("role definition list --custom-role-only perhaps", "perhaps"),
    ],
)
def test_a_planted_mistake_is_found(words, said):
    assert said in (complaint(words.split()) or "")


@pytest.mark.parametrize(
    ("reader", "text", "words"),
    [
        (in_markdown, "Say `az login`.", ["login"]),
        (in_markdown, "Say `az role assignment delete\n--ids …`.", ["role assignment delete --ids …"]),
        (in_markdown, "```sh\naz login && azd up\naz acr list \\\n  --query x  # why\n```\n", ["login", "acr list --query x"]),
        (in_markdown, '`OPERATOR="$(az ad sp show --id x)" make azure`', ["ad sp show --id x"]),
        (in_rust, '// `az no`\n"it is `az acr list --query \\"[].id\\"`, or `az login`"', ["acr list --query [].id", "login"]),
        (in_rust, 'set: "az acr show --name {name}",', ["acr show --name 1"]),
        (in_rust, '"a text that goes on \\\n    `az login`" \'"\' "`az logout`"', ["login", "logout"]),
        (in_bicep, "output it string = 'az acr show --name ${name} --query \\'[].id\\''", ["acr show --name 1 --query [].id"]),
    ],
)
def test_a_command_is_found_where_it_is_shown(reader, text, words):
    assert [" ".join(it) for it in reader(text)] == words
