"""The app_sidecar images: the package installed by each distribution's own tool, and driven.

Ubuntu's bases are what Debian's bootstrap gave, pushed to a mirror under Ubuntu's names; those
of releases with an old glibc are a C library that says so, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from buildkit.platform import Platform
from tests.fakes.dynamic import make_dynamic
from tests.integration import conftest
from tests.integration.registry_servers import installed_program, serve

pytestmark = [
    pytest.mark.go,
    pytest.mark.docker,
    pytest.mark.registry,
    pytest.mark.network,
    pytest.mark.timeout(1800),
]

ROOT = Path(__file__).parents[2]
NATIVE = f"linux/{Platform.host().arch}"
FLAGS = ("--platform", NATIVE, "--json")
LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}
MESH = """\
listeners:
  - name: inbound
    port: 10000
    routes:
      - prefix: /
        cluster: app
        responseHeaders: { x-mesh-config: sidecar }
clusters:
  - name: app
    endpoints: ["127.0.0.1:8080"]
"""
TARGETS = """\
extends = "{root}/examples/sidecars.toml"
[project]
source = "{root}/examples/mesh"
[mirrors]
"docker.io" = "{host}"
[images.ubuntu]
base = ["debian_12"]
"""
OLD = """\
schema_version = 1
[project]
name = "old"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[bases.nothing]
kind = "scratch"
[images.ubuntu]
template = "images/old/Dockerfile.j2"
base = ["nothing"]
files = { libc = "libc" }
[images.rockylinux]
template = "images/old/Dockerfile.j2"
base = ["nothing"]
files = { libc = "libc" }
[images.centos]
template = "images/old/Dockerfile.j2"
base = ["nothing"]
files = { libc = "libc" }
"""


class Sidecars:
    """A project that extends the shipped example, with a registry that is a mirror as well."""

    def __init__(self, root: Path, host: str) -> None:
        self.root, self.host = root, host
        home = {"HOME": str(root), "DOCKER_CONFIG": str(root / "docker")}
        passed = {"PATH": os.environ["PATH"], **conftest.outside_settings()}
        self.environ = {**passed, **home, "MESHWRIGHT_CACHE": str(root / "cache")}
        self.write("targets.toml", TARGETS.format(root=ROOT, host=host))
        self.write("old.toml", OLD)
        self.write("images/ubuntu/Dockerfile.j2", "FROM {{ base }}\n")
        loader = LOADERS[Platform.host().arch]
        old = f"FROM {{{{ base }}}}\nCOPY libc /lib/libc.so.6\nCOPY libc {loader}\n"
        self.write("images/old/Dockerfile.j2", old)
        self.write("libc", "")
        shutil.copy(ROOT / "targets.lock", root)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def invoke(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words]
        return subprocess.run(
            program, cwd=self.root, env=self.environ, capture_output=True, text=True, check=False
        )

    def make(self, *words: str, hub: str = "") -> dict[str, Any]:
        done = self.invoke(*words, *FLAGS, "--hub", f"{self.host}/{hub}".rstrip("/"))
        assert done.returncode == 0, done.stderr
        return {unit["id"]: unit for unit in json.loads(done.stdout)["units"]}

    def mirror(
        self, image: str, tag: str, targets: str = "targets.toml", hub: str = "library"
    ) -> None:
        """Push an image of ours under the name of a distribution's, and pin that."""
        words = ("docker", "--only", image, "--tag", tag, "--no-load", "--targets", targets)
        self.make(*words, hub=hub)

    def lock(self, base: str) -> None:
        done = self.invoke("lock", "--only", base)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecars]:
    """One user's cache for the module: a system is installed once."""
    with serve(installed_program(), tmp_path_factory.mktemp("registry")) as port:
        found = Sidecars(tmp_path_factory.mktemp("sidecars"), f"127.0.0.1:{port}")
        yield found
        form = ("--format", "{{.Repository}}:{{.Tag}}", f"{found.host}/*")
        if names := docker("image", "ls", *form).split():
            docker("image", "rm", *names)


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def driven(sidecars: Sidecars, image: str) -> Iterator[tuple[str, str]]:
    """Run a control plane and an image behind it; yield the container and Envoy's address."""
    name = f"meshwright-test-{image.replace('_', '-')}-{sidecars.host.rpartition(':')[2]}"
    folder = sidecars.root / "mesh"
    folder.mkdir(exist_ok=True)
    (folder / "mesh.yaml").write_text(MESH)
    docker("network", "create", name)
    made: list[str] = []
    try:
        pilot = ["--network", name, "--network-alias", "pilot", f"{sidecars.host}/pilot:latest"]
        made.append(docker("create", *pilot, "discovery", "--config-dir", "/etc/mesh"))
        docker("cp", f"{folder}/.", f"{made[0]}:/etc/mesh")
        docker("start", made[0])
        settings = ["--network", name, "-e", "DISCOVERY_ADDRESS=pilot:15010"]
        ports = ["-p", "127.0.0.1::10000"]
        made.append(docker("run", "-d", *settings, *ports, f"{sidecars.host}/{image}:latest"))
        yield made[1], docker("port", made[1], "10000/tcp").splitlines()[0]
    finally:
        if made:
            docker("rm", "-f", *made)
        docker("network", "rm", name)


def answer(address: str, container: str) -> tuple[str, str]:
    """Return what the echo server says through Envoy, and the header that only Envoy adds."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/hello", timeout=5) as response:
                return response.read().decode(), response.headers.get("x-mesh-config", "")
        except OSError:
            if time.monotonic() > deadline:
                raise AssertionError(docker("logs", container)) from None
            time.sleep(0.5)


def check_installed(container: str) -> None:
    """Check the user, the directories and the modes that the package promises."""
    status = docker("exec", container, "dpkg-query", "-W", "-f", "${Status}", "istio-sidecar")
    assert status == "install ok installed"
    assert "(istio-proxy)" in docker("exec", container, "id", "istio-proxy")
    folders = ["/etc/certs", "/var/log/istio"]
    folders += [f"/var/lib/istio/{name}" for name in ("config", "envoy", "proxy")]
    programs = ["/usr/local/bin/envoy", "/usr/local/bin/pilot-agent"]
    form = ["stat", "-c", "%a %U:%G"]
    owned = docker("exec", container, *form, *folders).splitlines()
    assert set(owned) == {"755 istio-proxy:istio-proxy"}
    assert set(docker("exec", container, *form, *programs).splitlines()) == {
        "2755 root:istio-proxy"
    }
    mesh = docker("exec", container, *form, "/var/lib/istio/config/mesh")
    assert mesh == "644 istio-proxy:istio-proxy"
    link = docker("exec", container, "readlink", "/var/lib/istio/envoy/sidecar.env")
    assert link == "/etc/istio/sidecar.env"


@pytest.mark.slow
@pytest.mark.parametrize("image", ["app_sidecar_debian_12", "app_sidecar_debian_11"])
def test_debians_images_are_built_and_the_echo_server_answers_behind_the_sidecar(
    shared: Sidecars, image: str
) -> None:
    units = shared.make("docker", "--only", f"pilot,{image}")
    assert units[f"push/{image}"]["status"] == "done"
    with driven(shared, image) as (container, address):
        text, header = answer(address, container)
        assert "Path=/hello" in text
        assert header == "sidecar"
        check_installed(container)
        docker("stop", "-t", "30", container)
        assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
    again = shared.make("docker", "--only", image)
    assert {unit["status"] for unit in again.values()} == {"cached"}


@pytest.mark.slow
@pytest.mark.parametrize(("release", "tag"), [("jammy", "22.04"), ("noble", "24.04")])
def test_ubuntus_images_are_built_on_what_a_mirror_has_under_ubuntus_name(
    shared: Sidecars, release: str, tag: str
) -> None:
    shared.mirror("ubuntu", tag)
    shared.lock(f"ubuntu_{release}")
    image = f"app_sidecar_ubuntu_{release}"
    shared.make("docker", "--only", f"pilot,{image}")
    with driven(shared, image) as (container, address):
        assert answer(address, container)[1] == "sidecar"
        check_installed(container)


@pytest.mark.parametrize(
    ("base", "tag", "glibc", "flags"),
    [
        pytest.param("ubuntu_xenial", "16.04", "2.23", (), marks=pytest.mark.slow),
        # A file that wants what the real one wants is packed in no time.
        ("centos_7", "7", "2.17", ("--envoy", "small")),
    ],
)
def test_a_release_whose_glibc_is_too_old_is_refused_with_that_reason(
    shared: Sidecars, base: str, tag: str, glibc: str, flags: tuple[str, ...]
) -> None:
    machine = {"amd64": 62, "arm64": 183}[Platform.host().arch]
    needs = {"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.30")}
    small = make_dynamic(needs, loader=LOADERS[Platform.host().arch], machine=machine)
    (shared.root / "small").write_bytes(small)
    shared.write("libc", f"GNU C Library (GNU libc) stable release version {glibc}, by others\n")
    shared.mirror(base.partition("_")[0], tag, targets="old.toml")
    shared.lock(base)
    image = f"app_sidecar_{base}"
    words = ("docker", "--only", image, "--platform", NATIVE, "--hub", shared.host)
    done = shared.invoke(*words, *flags)
    assert done.returncode == 9, done.stderr
    reason = f"image/{image}@{NATIVE} cannot work: envoy needs glibc 2.30"
    assert f"{reason}, and its base {base} has {glibc}" in done.stderr
    assert "for an older one" in done.stderr
    # Another Envoy is enough: what is left is that this base has no shell.
    static = shared.root / "out" / NATIVE.replace("/", "_") / "server"
    other = shared.invoke(*words, "--envoy", str(static))
    assert other.returncode == 5, other.stderr
    assert "cannot work" not in other.stderr


def test_what_is_never_built_here_is_planned_to_the_push(shared: Sidecars) -> None:
    shared.write("libc", "GNU C Library (GNU libc) stable release version 2.34, by others\n")
    shared.mirror("rockylinux", "9", targets="old.toml", hub="rockylinux")
    shared.lock("rockylinux_9")
    words = ("plan", "--only", "app_sidecar_rockylinux_9", "--hub", shared.host)
    done = shared.invoke(*words, *FLAGS)
    assert done.returncode == 0, done.stderr
    verdicts = {unit["id"]: unit["verdict"] for unit in json.loads(done.stdout)["units"]}
    wanted = {f"rpm/istio-sidecar@{NATIVE}", f"image/app_sidecar_rockylinux_9@{NATIVE}"}
    assert {verdicts[name] for name in (*wanted, "push/app_sidecar_rockylinux_9")} == {"RUN"}
