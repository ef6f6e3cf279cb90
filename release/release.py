"""What the release workflow asks about a release: release.py verify|targets|notes|stamp …

It uses nothing but Python's own library, since it runs before anything is installed.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
# What stands for the repository's owner until `make release-repository` has been told.
PLACEHOLDER = "OWNER/longshore"
# Where the repository's name stands in files. The workflows and the action ask GitHub instead.
NAMED_IN = {
    "Cargo.toml": r'^repository = "https://github\.com/(.+)"$',
    "guest/Cargo.toml": r'^repository = "https://github\.com/(.+)"$',
    "install.sh": r"^REPOSITORY=(.+)$",
}
STAMPED = r"^RELEASE=.*$"
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>.+))?$", re.M)


def version() -> str:
    """The version of the host, as Cargo knows it."""
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def repositories() -> dict[str, str]:
    """The repository that each file names, as OWNER/NAME."""
    found = {}
    for file, pattern in NAMED_IN.items():
        named = re.search(pattern, (ROOT / file).read_text(), re.M)
        found[file] = named[1] if named else "no repository"
    return found


def changes() -> dict[str, tuple[str | None, str]]:
    """The date and the text of each version in the change log; the first is the newest."""
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = list(HEADING.finditer(text))
    ends = [it.start() for it in headings[1:]] + [len(text)]
    return {it["version"]: (it["date"], text[it.end() : end].strip()) for it, end in zip(headings, ends, strict=True)}


def problems(tag: str, repository: str) -> list[str]:
    """Why this tag of this repository is no release; empty if it is one."""
    found = []
    if tag != f"v{version()}":
        found.append(f"the tag is {tag}, and Cargo.toml has version {version()}: tag v{version()}, or change the version")
    newest = next(iter(changes()), None)
    if newest != version():
        found.append(f"CHANGELOG.md begins with {newest}: its first heading has to be ## [{version()}] - YYYY-MM-DD")
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", changes()[newest][0] or ""):
        found.append(f"CHANGELOG.md has no date for {newest}: write ## [{newest}] - YYYY-MM-DD")
    for file, named in repositories().items():
        if named != repository:
            found.append(f"{file} names {named}: run `make release-repository REPOSITORY={repository}` and commit")
    return found


def notes(repository: str) -> str:
    """The text of the release: what changed, and how to install it. The button's address is the tag's template."""
    tag = f"v{version()}"
    # The portal fetches the template from a browser. Only this address answers pages of other sites.
    template = f"https://raw.githubusercontent.com/{repository}/{tag}/infra/azuredeploy.json"
    image = f"ghcr.io/{repository.lower()}:{version()}"
    return f"""{changes()[version()][1]}

### Install
```sh
curl --fail --location --proto '=https' https://github.com/{repository}/releases/download/{tag}/install.sh | sh
gh attestation verify longshore-{tag}-x86_64-unknown-linux-gnu.tar.gz --repo {repository}
docker run --rm {image} --version
gh attestation verify oci://{image} --repo {repository}
```

[![Deploy to Azure](https://aka.ms/deploytoazurebutton)](https://portal.azure.com/#create/Microsoft.Template/uri/{quote(template, safe="")})
"""


def stamped(repository: str) -> str:
    """The install script of this release: it knows its repository and its version."""
    text = (ROOT / "install.sh").read_text()
    text, named = re.subn(NAMED_IN["install.sh"], f"REPOSITORY={repository}", text, flags=re.M)
    text, told = re.subn(STAMPED, f"RELEASE={version()}", text, flags=re.M)
    if (named, told) != (1, 1):
        raise SystemExit("install.sh has to have one line REPOSITORY=… and one line RELEASE=…")
    return text


def name_repository(repository: str) -> None:
    """Writes the repository's name into every file that has it."""
    for file, pattern in NAMED_IN.items():
        path = ROOT / file
        text = path.read_text()
        found = re.search(pattern, text, re.M)
        if not found:
            raise SystemExit(f"{file} has no line for the repository's name")
        path.write_text(text[: found.start(1)] + repository + text[found.end(1) :])


def main(words: list[str]) -> None:
    match words:
        case ["verify", tag, repository]:
            if found := problems(tag, repository):
                raise SystemExit("\n".join(found))
        case ["version"]:
            print(version())
        case ["targets"]:
            print(json.dumps(json.loads((ROOT / "release/targets.json").read_text())))
        case ["notes", repository]:
            print(notes(repository), end="")
        case ["stamp", repository]:
            print(stamped(repository), end="")
        case ["repository", repository] if re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            name_repository(repository)
        case _:
            raise SystemExit("release.py verify TAG OWNER/NAME | version | targets | notes OWNER/NAME | stamp OWNER/NAME | repository OWNER/NAME")


if __name__ == "__main__":
    main(sys.argv[1:])
