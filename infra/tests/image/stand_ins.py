"""Local images under the names of the Dockerfile's base images, where no registry can be reached, and what builds and runs them.

- `rust`: its `cargo` does not compile. It checks that the build has what a compiler would need, and hands out the binary and the
  components that were compiled outside: a full build takes longer than a test may.
- `distroless/cc`: the C library, CA certificates and the user `nonroot`, without a shell; made of this machine's own files.
- `azure-cli`: a shell, and an `az` that says where it looks for a login.

Everything runs without a Docker engine: buildah with chroot isolation, podman with runc.
"""

import atexit
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
BASES = re.findall(r"^FROM (\S+[./]\S+) AS", (ROOT / "Dockerfile").read_text(), re.M)
# Of its own, and gone at the end: the stand-ins bear the names of real images, and must not be taken for them afterwards.
STORE = Path(tempfile.mkdtemp(prefix="longshore-"))
atexit.register(shutil.rmtree, STORE, ignore_errors=True)
STORAGE = ["--storage-driver", "vfs", "--root", str(STORE / "images"), "--runroot", str(STORE / "run")]
BUILDAH = ["buildah", *STORAGE]
PODMAN = ["podman", *STORAGE, "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
RUN = [*PODMAN, "run", "--network=none", *LIMITS]
# For what fetches its handler: this machine's own network, where the registry is.
RUN_CONNECTED = [*PODMAN, "run", "--network=host", *LIMITS]

CARGO = """#!/bin/sh
# A compiler would need these, and would write there.
set -eu
case "$*" in
install\\ --locked\\ cargo-auditable@*) ;;
auditable\\ build\\ --profile\\ dist*--package\\ longshore*)
    for it in Cargo.lock .cargo/config.toml host/longshore/src/main.rs wit/handler.wit \\
        examples/hello/rust/src/lib.rs infra/azuredeploy.json infra/project/azure.yaml; do test -e $it; done
    mkdir -p target/dist && cp /compiled/longshore target/dist/longshore ;;
*--target\\ wasm32-wasip2*)
    for it in Cargo.lock order/src/lib.rs sdk/src/lib.rs ../wit/handler.wit; do test -e $it; done
    mkdir -p target/wasm32-wasip2/release
    if test -e other; then it=other; else it=order; fi
    cp /compiled/$it.wasm target/wasm32-wasip2/release/order.wasm ;;
*) echo "cargo $* is not known to the stand-in" >&2; exit 1 ;;
esac
"""
AZ = '#!/bin/sh\necho "login in $AZURE_CONFIG_DIR"\n'


def sh(*command: object, **options) -> str:
    """Runs a command that has to succeed; its standard output."""
    ran = subprocess.run([str(it) for it in command], capture_output=True, text=True, timeout=300, **options)
    assert ran.returncode == 0, f"{command}: {ran.stderr[-4000:]}"
    return ran.stdout


def libraries(program: Path) -> set[Path]:
    """What the dynamic linker needs for a program, with the linker itself."""
    return {Path(it) for it in re.findall(r"(/\S+) \(0x", sh("ldd", program))}


class Tree:
    """The file system of a stand-in."""

    def __init__(self, root: Path):
        self.root = root
        for directory in ("tmp", "etc", "usr/bin", "usr/local/bin"):
            (root / directory).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        # As Debian has it: what is in /bin and /lib is in /usr.
        for directory in ("bin", "lib", "lib64"):
            (root / "usr" / directory).mkdir(exist_ok=True)
            (root / directory).symlink_to(f"usr/{directory}")
        (root / "etc/passwd").write_text("root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n")

    def program(self, name: str, to: str | None = None) -> None:
        """A program of this machine, with its libraries."""
        source = Path(shutil.which(name) or name)
        for file in libraries(source):
            self.file(file, str(file))
        self.file(source, to or f"/usr/bin/{name}")

    def file(self, source: Path, to: str) -> None:
        """A file of this machine."""
        target = self.root / to.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def script(self, to: str, text: str) -> None:
        """A script."""
        (self.root / to).write_text(text)
        (self.root / to).chmod(0o755)

    def commit(self, name: str) -> None:
        """Makes it the image of that name."""
        container = sh(*BUILDAH, "from", "scratch").strip()
        sh(*BUILDAH, "copy", container, self.root, "/")
        sh(*BUILDAH, "commit", "--quiet", container, name)
        sh(*BUILDAH, "rm", container)


def other(components: Path) -> bytes:
    """Another component that does the same: with a custom section of that name at its end."""
    return (components / "order.wasm").read_bytes() + b"\x00\x06\x05other"


def make(directory: Path, longshore: Path, components: Path) -> None:
    """Makes the stand-ins for all base images."""
    for name in BASES:
        tree = Tree(directory / re.sub(r"\W", "-", name))
        if "rust" in name:
            for it in ("sh", "mkdir", "cp", "install"):
                tree.program(it)
            tree.script("usr/bin/cargo", CARGO)
            tree.script("usr/bin/rustup", "#!/bin/sh\n")
            tree.program(str(longshore), "/compiled/longshore")
            tree.file(components / "order.wasm", "/compiled/order.wasm")
            (tree.root / "compiled/other.wasm").write_bytes(other(components))
        elif "distroless" in name:
            for it in libraries(longshore):
                tree.file(it, str(it))
            tree.file(Path("/etc/ssl/certs/ca-certificates.crt"), "/etc/ssl/certs/ca-certificates.crt")
        elif "azure-cli" in name:
            for it in ("sh", "cat"):
                tree.program(it)
            for it in libraries(longshore):
                tree.file(it, str(it))
            tree.script("usr/bin/az", AZ)
        else:
            raise AssertionError(f"{name} has no stand-in")
        tree.commit(name)


def build(context: Path, target: str, name: str) -> str:
    """Builds a stage of the Dockerfile; what buildah said."""
    return sh(*BUILDAH, "build", "--isolation", "chroot", "--pull-never", "--layers", "--target", target, "--tag", name, context)


def layers(name: str) -> list[str]:
    """The digests of an image's layers, the base's first."""
    return sh(*PODMAN, "image", "inspect", "--format", "{{range .RootFS.Layers}}{{.}} {{end}}", name).split()
