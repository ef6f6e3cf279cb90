"""What checkov says about the compiled template; and mistakes, planted into it, that checkov has to find."""

import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

from generate import COMPILED

# What does not hold for these templates, with the reason.
SKIPPED = {
    "CKV_AZURE_35": "without a network of its own the environment has no address to let in; every request needs a role on its queue",
    "CKV_AZURE_36": "the same: nothing is shut out, so that nobody has to be let past",
    "CKV_AZURE_43": "the name is worked out, which checkov does not do; tests look at the names that the compiler predicts",
    "CKV_AZURE_206": "a queue is emptied within minutes: three zones are enough, a copy in another region would be stale messages",
    "CKV_AZURE_139": "closing the registry's public endpoint takes private endpoints and so the tier Premium; pulling needs AcrPull either way",
    "CKV_AZURE_163": "scanning is Defender for Containers, which is switched on for a subscription, not for a registry",
    "CKV_AZURE_166": "quarantine is a preview of the tier Premium",
}
# Where each mistake is planted: the check that finds it, the module, what stands there, and what is planted.
PLANTED = [
    ("CKV_AZURE_137", "registry", '"adminUserEnabled": false', '"adminUserEnabled": true'),
    ("CKV_AZURE_44", "storage", '"TLS1_2"', '"TLS1_0"'),
]


def modules(template: dict, name: str = "main") -> Iterator[tuple[str, dict]]:
    """Each module of a compiled template, as a template with a list of resources, which is what checkov reads."""
    resources = template["resources"]
    named = resources if isinstance(resources, dict) else dict(enumerate(resources))
    for key, it in named.items():
        if it["type"] == "Microsoft.Resources/deployments":
            yield from modules(it["properties"]["template"], str(key))
    yield name, copy.deepcopy(template) | {"resources": [it for it in named.values() if not it.get("existing")]}


def main(checkov: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        of_name = {name: json.dumps(it, indent=2) for name, it in modules(json.loads(COMPILED.read_text()))}
        for _, name, there, planted in PLANTED:
            assert there in of_name[name], f"the module {name} has no {there}"
            of_name[f"{name}-planted"] = of_name[name].replace(there, planted)
        for name, text in of_name.items():
            (Path(folder) / f"{name}.json").write_text(text)
        words = [checkov, "--framework", "arm", "--skip-download", "--output", "json", "--skip-check", ",".join(SKIPPED), "--directory", folder]
        ran = subprocess.run(words, env=os.environ | {"LOG_LEVEL": "ERROR"}, capture_output=True, text=True)
    results = json.loads(ran.stdout)["results"]
    failed = {(it["check_id"], Path(it["file_path"]).stem, it["resource"]) for it in results["failed_checks"]}
    wrong = sorted(it for it in failed if not it[1].endswith("-planted"))
    missed = {(check, f"{name}-planted") for check, name, *_ in PLANTED} - {it[:2] for it in failed}
    looked_at = {Path(it["file_path"]).stem for it in results["passed_checks"]}
    # What checkov did not parse, it found nothing in.
    unread = {name for _, name, *_ in PLANTED} - looked_at
    if wrong or missed or unread:
        raise SystemExit(f"checkov found {wrong}, missed {sorted(missed)} and did not read {sorted(unread)}\n{ran.stderr}")


if __name__ == "__main__":
    main(sys.argv[1])
