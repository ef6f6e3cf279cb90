"""install.sh puts the program there that the release lists, or nothing; and says why. Releases lie on a file server of this machine."""

import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

import release
from releases import TARGET, Releases, Server, program, tools

ROOT = release.ROOT
# What install.sh calls, besides the shell's own words.
TOOLS = "cat chmod cp cut getconf grep gzip id ldd mkdir mktemp mv rm sh sha256sum tail tar uname wc".split()
DOWNLOADERS = ["curl", "wget"]
NOBODY = 65534


@pytest.fixture
def releases(tmp_path):
    made = Releases(tmp_path / "releases")
    made.folder.mkdir()
    return made


@pytest.fixture
def server(releases):
    serving = Server(releases.folder)
    thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
    thread.start()
    yield serving
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home of somebody"
    home.mkdir()
    return home


@pytest.fixture
def install(server, home, tmp_path):
    """Runs install.sh; words are variables. Its PATH has curl, unless it is given one."""
    usual = tools(tmp_path / "usual tools", *TOOLS, "curl")

    def run(path: Path = usual, script: Path = ROOT / "install.sh", user: int | None = None, **variables: str):
        given = {"PATH": str(path), "HOME": str(home), "LONGSHORE_RELEASES_URL": server.url} | variables
        environment = {name: value for name, value in given.items() if value}
        return subprocess.run(["/bin/sh", script], env=environment, capture_output=True, text=True, timeout=60, user=user, cwd=tmp_path)

    return run


def installed(home: Path) -> Path:
    return home / ".local/bin/longshore"


def left(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.rglob("*") if it.is_file())


def assert_nothing_installed(done, home: Path, *words: str) -> None:
    assert done.returncode != 0 and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("install.sh: ")
    for word in words:
        assert word in last, last
    assert left(home) == []


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_the_newest_release_is_installed_with_curl_or_wget(releases, install, home, tmp_path, downloader):
    releases.add("0.1.0")
    releases.add("0.2.0")
    done = install(tools(tmp_path / "tools", *TOOLS, downloader))
    assert done.returncode == 0, done.stderr
    assert f"longshore 0.2.0 is in {home}/.local/bin" in done.stderr
    assert f'export PATH="{home}/.local/bin:$PATH"' in done.stderr
    assert subprocess.check_output([installed(home), "--version"], text=True) == "longshore 0.2.0\n"
    assert left(home) == ["longshore"]


@pytest.mark.parametrize("version", ["0.1.0", "v0.1.0"])
def test_a_version_that_is_named_is_installed_in_a_folder_that_is_named(releases, install, home, tmp_path, version):
    releases.add("0.1.0")
    releases.add("0.2.0")
    done = install(LONGSHORE_VERSION=version, INSTALL_DIR=str(tmp_path / "my tools/bin"))
    assert done.returncode == 0, done.stderr
    assert subprocess.check_output([tmp_path / "my tools/bin/longshore", "--version"], text=True) == "longshore 0.1.0\n"
    assert left(home) == []


def test_the_script_of_a_release_installs_that_release_of_that_repository(releases, install, home, tmp_path):
    script = tmp_path / "install.sh"
    script.write_text(release.stamped("somebody/longshore"))
    releases.add(release.version())
    releases.add("99.0.0")
    done = install(script=script)
    assert done.returncode == 0, done.stderr
    assert f"longshore {release.version()} is in" in done.stderr
    assert "\nREPOSITORY=somebody/longshore\n" in script.read_text()


def test_an_older_program_is_replaced_and_the_same_one_is_left(releases, install, home, server):
    releases.add("0.1.0")
    install()
    releases.add("0.2.0")
    assert "it replaces longshore 0.1.0" in install().stderr
    asked = len(server.asked)
    done = install(LONGSHORE_VERSION="0.2.0")
    assert done.returncode == 0 and "already" in done.stderr
    assert len(server.asked) == asked


def test_a_damaged_program_of_the_same_version_is_replaced(releases, install, home):
    releases.add("0.1.0")
    installed(home).parent.mkdir(parents=True)
    installed(home).write_text("no program")
    installed(home).chmod(0o755)
    assert install(LONGSHORE_VERSION="0.1.0").returncode == 0
    assert "longshore 0.1.0" in installed(home).read_text()


def test_another_program_that_path_finds_first_is_named(releases, install, home, tmp_path):
    releases.add("0.1.0")
    path = tools(tmp_path / "tools", *TOOLS, "curl", longshore="echo other")
    done = install(PATH=f"{path}:{home}/.local/bin")
    assert f"PATH finds {path}/longshore first" in done.stderr


@pytest.mark.parametrize("listed", ["0" * 64, None])
def test_an_archive_that_is_not_what_the_release_lists_is_not_installed(releases, install, home, listed):
    archive = releases.add("0.1.0")
    sums = archive.parent / "sha256.sum"
    if listed:
        sums.write_text(f"{listed}  {archive.name}\n")
    else:
        archive.write_bytes(archive.read_bytes() + b"\0")
    assert_nothing_installed(install(), home, "SHA-256", hashlib.sha256(archive.read_bytes()).hexdigest())


def test_a_program_that_was_there_survives_a_wrong_archive(releases, install, home):
    releases.add("0.1.0")
    install()
    archive = releases.add("0.2.0")
    archive.write_bytes(archive.read_bytes()[:-1])
    assert install().returncode != 0
    assert subprocess.check_output([installed(home), "--version"], text=True) == "longshore 0.1.0\n"
    assert left(home) == ["longshore"]


@pytest.mark.parametrize("downloader", DOWNLOADERS)
@pytest.mark.parametrize("cut", ["archive", "sha256.sum"])
def test_half_a_download_installs_nothing(releases, install, home, server, tmp_path, downloader, cut):
    archive = releases.add("0.1.0")
    server.cut = {archive.name if cut == "archive" else cut}
    assert_nothing_installed(install(tools(tmp_path / "tools", *TOOLS, downloader)), home)


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_a_version_that_is_not_there_is_named(releases, install, home, tmp_path, downloader):
    releases.add("0.1.0")
    done = install(tools(tmp_path / "tools", *TOOLS, downloader), LONGSHORE_VERSION="7.7.7")
    assert_nothing_installed(done, home, "is there a version 7.7.7?", "404")


def test_no_release_yet_is_said(install, home):
    assert_nothing_installed(install(), home, "is there a release yet?", "404")


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_no_network_is_said(install, home, tmp_path, downloader):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = install(tools(tmp_path / "tools", *TOOLS, downloader), LONGSHORE_RELEASES_URL=f"http://127.0.0.1:{port}")
    assert_nothing_installed(done, home, "cannot reach", "is there a network")


def test_no_name_server_is_said(install, home):
    done = install(LONGSHORE_RELEASES_URL="https://longshore.invalid")
    assert_nothing_installed(done, home, "cannot reach https://longshore.invalid")


def test_a_release_without_an_archive_for_this_platform_is_said(releases, install, home):
    releases.add("0.1.0", target="riscv64gc-unknown-linux-gnu")
    assert_nothing_installed(install(), home, f"has no archive for {TARGET}")


def test_a_list_of_another_version_is_refused(releases, install, home):
    releases.add("0.1.0")
    releases.add("0.2.0")
    there = releases.folder / "download"
    shutil.copy(there / "v0.2.0/sha256.sum", there / "v0.1.0/sha256.sum")
    assert_nothing_installed(install(LONGSHORE_VERSION="0.1.0"), home, "of version 0.2.0")


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [
        ("Darwin", "arm64", ["macOS", "cargo install"]),
        ("MINGW64_NT-10.0", "x86_64", ["Windows", "WSL"]),
        ("FreeBSD", "amd64", ["FreeBSD"]),
        ("Linux", "armv7l", ["armv7l", "aarch64"]),
    ],
)
def test_a_platform_without_archives_is_told_what_else_there_is(releases, install, home, tmp_path, system, machine, words):
    releases.add("0.1.0")
    path = tools(tmp_path / "tools", *TOOLS, "curl", uname=f'[ "$1" = -s ] && echo {system} || echo {machine}')
    assert_nothing_installed(install(path), home, "there is no archive for", *words)


def test_musl_is_told_to_run_the_image(releases, install, home, tmp_path):
    path = tools(tmp_path / "tools", *TOOLS, "curl", getconf="exit 1", ldd="echo musl libc >&2; exit 1")
    assert_nothing_installed(install(path), home, "musl", "the image")


@pytest.mark.parametrize(
    ("machine", "target"), [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu"), ("aarch64", "aarch64-unknown-linux-gnu")]
)
def test_each_spelling_of_a_machine_gets_its_archive(releases, install, home, tmp_path, machine, target):
    for it in ("x86_64", "aarch64"):
        releases.add("0.1.0", program(f"0.1.0 for {it}"), f"{it}-unknown-linux-gnu")
    path = tools(tmp_path / "tools", *TOOLS, "curl", uname=f'[ "$1" = -s ] && echo Linux || echo {machine}')
    done = install(path)
    assert f"longshore 0.1.0 for {target.partition('-')[0]} is in" in done.stderr


@pytest.mark.parametrize(("missing", "words"), [("tar", ["needs tar"]), ("gzip", ["needs gzip"]), ("sha256sum", ["needs sha256sum"]), ("curl", ["needs curl or wget"])])
def test_a_missing_tool_is_named(releases, install, home, tmp_path, missing, words):
    releases.add("0.1.0")
    path = tools(tmp_path / "tools", *[it for it in [*TOOLS, "curl"] if it != missing])
    assert_nothing_installed(install(path), home, *words)


def test_shasum_checks_as_sha256sum_does(releases, install, home, tmp_path):
    archive = releases.add("0.1.0")
    # Perl's program, which macOS has: its options and its output are those of sha256sum.
    path = tools(tmp_path / "tools", *[it for it in [*TOOLS, "curl"] if it != "sha256sum"], shasum=f"exec {shutil.which('sha256sum')}")
    archive.write_bytes(archive.read_bytes() + b"\0")
    done = install(path)
    assert done.returncode != 0 and left(home) == []


@pytest.mark.parametrize("layout", ["another folder", "no program", "a link", "a folder", "no archive"])
def test_an_archive_of_another_layout_installs_nothing(releases, install, home, layout):
    archive = releases.add("0.1.0")
    name = archive.name.removesuffix(".tar.gz")
    if layout == "no archive":
        archive.write_bytes(gzip.compress(b"this is no archive"))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            if layout == "another folder":
                tar.add(releases.folder / "program", "longshore")
            elif layout == "a folder":
                tar.add(releases.folder / "download", f"{name}/longshore", recursive=False)
            elif layout == "a link":
                link = tarfile.TarInfo(f"{name}/longshore")
                link.type, link.linkname = tarfile.SYMTYPE, "/bin/sh"
                tar.addfile(link)
            else:
                tar.add(ROOT / "LICENSE", f"{name}/LICENSE")
    releases.list("0.1.0")
    assert_nothing_installed(install(), home, f"{name}/longshore")


def test_nothing_but_the_program_is_taken_out_of_an_archive(releases, install, home, tmp_path):
    archive = releases.add("0.1.0")
    name = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(ROOT / "LICENSE", "../../escaped")
        tar.add(releases.folder / "program", f"{name}/longshore")
    releases.list("0.1.0")
    # The script makes its folder below this one.
    (tmp_path / "scratch/deep").mkdir(parents=True)
    assert install(TMPDIR=str(tmp_path / "scratch/deep")).returncode == 0
    assert left(tmp_path / "scratch") == []


def test_a_program_that_does_not_run_here_is_not_installed(releases, install, home):
    # It ran where it was packed.
    releases.add("0.1.0", "#!/bin/sh\ncase $1 in completions) exit ;; man) mkdir -p \"$2\"; exit ;; esac\necho \"version 'GLIBC_2.99' not found\" >&2\nexit 1\n")
    assert_nothing_installed(install(), home, "does not run on this system", "GLIBC_2.99")


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_may_not_be_written_to_is_named_with_the_mend(releases, install, home, tmp_path, there):
    releases.add("0.1.0")
    # Root may write everywhere. Others may not even enter the folders that pytest makes.
    user = NOBODY if os.geteuid() == 0 else None
    for it in [tmp_path, *tmp_path.parents] if user else []:
        if not it.stat().st_mode & 0o001:
            it.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    directory = closed if there else closed / "bin"
    done = install(INSTALL_DIR=str(directory), user=user)
    assert_nothing_installed(done, home, str(directory), "INSTALL_DIR")


def test_without_a_home_a_folder_is_asked_for(releases, install, home):
    assert_nothing_installed(install(HOME=""), home, "HOME is not set", "INSTALL_DIR")


def test_a_copy_that_does_not_know_its_repository_asks_for_it(install, home):
    assert_nothing_installed(install(LONGSHORE_RELEASES_URL=""), home, "LONGSHORE_REPOSITORY=OWNER/NAME")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_a_script_that_was_cut_off_does_nothing(releases, install, home, tmp_path, server, part):
    releases.add("0.1.0")
    text = (ROOT / "install.sh").read_text()
    script = tmp_path / "install.sh"
    script.write_text(text[: int(len(text) * part)])
    install(script=script)
    assert left(home) == [] and server.asked == []


# What `gh` does, without GitHub: it is logged in or not, knows attestations or not, and finds one or not.
GH = {
    "not logged in": '[ "$1" != auth ]',
    "too old": '[ "$1" != attestation ]',
    "forged": '[ "$1 $2" != "attestation verify" ] || { echo "no attestations found" >&2; exit 1; }',
    "right": "exit 0",
}


@pytest.mark.parametrize(
    ("gh", "required", "code", "said"),
    [
        (None, False, 0, "Who built the archive was not verified: gh is not installed"),
        (None, True, 1, "LONGSHORE_ATTESTATION=required, but gh is not installed"),
        ("not logged in", False, 0, "not verified: gh is not logged in"),
        ("not logged in", True, 1, "gh is not logged in"),
        ("too old", True, 1, "this gh knows no attestations"),
        ("forged", False, 1, "no attestations found"),
        ("right", True, 0, "gh has verified that somebody/longshore built the archive"),
    ],
)
def test_who_built_the_archive_is_verified_where_gh_can(releases, install, home, tmp_path, gh, required, code, said):
    releases.add("0.1.0")
    path = tools(tmp_path / "tools", *TOOLS, "curl", **({"gh": GH[gh]} if gh else {}))
    done = install(path, LONGSHORE_ATTESTATION="required" if required else "", LONGSHORE_REPOSITORY="somebody/longshore")
    assert done.returncode == code and said in done.stderr
    assert left(home) == ([] if code else ["longshore"])


def test_the_same_tree_makes_the_same_archive(tmp_path):
    (tmp_path / "program").write_text(program("0.1.0"))
    for it in "12":
        subprocess.run([ROOT / "release/archive.sh", tmp_path / "program", "0.1.0", TARGET, tmp_path / it], check=True)
    name = f"longshore-v0.1.0-{TARGET}"
    first, second = ((tmp_path / it / f"{name}.tar.gz").read_bytes() for it in "12")
    assert first == second
    with tarfile.open(tmp_path / "1" / f"{name}.tar.gz") as tar:
        files = [it.name for it in tar.getmembers() if it.isfile() and "/completions/" not in it.name]
        assert files == [f"{name}/{it}" for it in ("CHANGELOG.md", "LICENSE", "README.md", "longshore")]
        assert {(it.uid, it.gid, it.mtime) for it in tar} == {(0, 0, 0)}
