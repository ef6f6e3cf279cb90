"""The page on deploying shows the parameters as the template has them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[1]
PAGE = INFRA.parent / "docs/deploy.md"

sys.path.insert(0, str(INFRA))
import docs  # noqa: E402


def compiled(template: Path) -> str:
    bicep = shutil.which("bicep")
    assert bicep, "no `bicep` on PATH: https://github.com/Azure/bicep/releases has it, and `az bicep install` as well"
    return subprocess.run([bicep, "build", "--stdout", template], capture_output=True, text=True, check=True).stdout


def judged(template: str, page: Path) -> str:
    """What the program says; nothing if the page is current."""
    words = [sys.executable, INFRA / "docs.py", "--check", page]
    return subprocess.run(words, input=template, capture_output=True, text=True).stderr


@pytest.fixture(scope="module")
def template() -> str:
    return compiled(INFRA / "main.bicep")


def test_the_page_is_current(template):
    assert judged(template, PAGE) == ""


@pytest.mark.parametrize(
    ("there", "planted", "said"),
    [
        ('"defaultValue": 16', '"defaultValue": 17', "make infra-docs"),
        ('"minLength": 3', '"minLength": 4', "make infra-docs"),
        ('"alertEmail"', '"alertMail"', "make infra-docs"),
    ],
)
def test_a_change_of_the_template_is_found(template, there, planted, said):
    assert there in template
    assert said in judged(template.replace(there, planted), PAGE)


def test_a_page_without_its_marks_is_refused(template, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace(docs.END, ""))
    assert "each has to be there once" in judged(template, page)


def test_types_defaults_and_limits_are_told():
    job = {
        "type": "object",
        "properties": {
            "queue": {"type": "string", "minLength": 3, "metadata": {"description": "Which one."}},
            "cpu": {"type": "string", "allowedValues": ["0.25", "0.5"], "nullable": True},
        },
    }
    named = {"$ref": "#/definitions/Job"}
    template = {
        "definitions": {"Job": job, "Seconds": {"type": "int", "minValue": 1, "maxValue": 9}},
        "parameters": {
            "jobs": {"type": "array", "items": named, "defaultValue": []},
            "grace": {"$ref": "#/definitions/Seconds", "defaultValue": 5, "metadata": {"description": "A | B"}},
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
        },
    }
    assert docs.parameters(template).splitlines() == [
        "| | type | default | |",
        "|---|---|---|---|",
        "| `jobs` | list of [`Job`](#job) | empty |  |",
        "| `grace` | int | `5` | A \\| B 1 to 9. |",
        "| `location` | string | worked out |  |",
        "",
        "#### Job",
        "",
        "| | type | default | |",
        "|---|---|---|---|",
        "| `queue` | string | has to be given | Which one. At least 3 long. |",
        "| `cpu` | `'0.25'`, `'0.5'` |  |  |",
    ]
