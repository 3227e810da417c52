"""What others make of our images: skopeo, umoci, crane and Docker read everything we write."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildkit.oci.layout import Layout
from buildkit.platform import Platform
from tests.fakes.layouts import validate_layout
from tests.integration import conftest, tiny
from tests.integration.registry_servers import installed_program, serve

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"
ARCHITECTURES = ("amd64", "arm64")
OWN = Platform.host().arch
TARGETS = """\
schema_version = 1
[project]
name = "interop"
release_hub = "example.com/interop"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[bases]
static = { kind = "static" }
[images.hello]
base = ["static"]
files = { "hello-amd64" = "hello-amd64", "hello-arm64" = "hello-arm64", "note" = "note" }
"""
DOCKERFILE = """\
FROM {{ base }}
ARG TARGETARCH
COPY --chmod=755 hello-$TARGETARCH /hello
COPY --chown=1337:1337 note /etc/hello/note
ENV GREETING=hello
USER 1337:1337
ENTRYPOINT ["/hello"]
"""
PROGRAM = "from buildkit.tasks import main; main()"

pytestmark = [pytest.mark.go, pytest.mark.registry, pytest.mark.interop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One project, and what was made of it in a layout, in archives and in a registry."""

    root: Path
    hub: str
    environ: dict[str, str]

    def make(self, *flags: str) -> dict[str, Any]:
        """Make the images and return what became of each unit."""
        answer = self.invoke("docker", "--json", *flags)
        return {unit["id"]: unit for unit in json.loads(answer)["units"]}

    def invoke(self, *words: str) -> bytes:
        return self.run(sys.executable, "-c", PROGRAM, *words)

    def run(self, *argv: str | Path) -> bytes:
        done = subprocess.run(
            argv, cwd=self.root, env=self.environ, capture_output=True, check=False
        )
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    @property
    def name(self) -> str:
        return f"{self.hub}/hello:latest"

    @property
    def places(self) -> dict[str, str]:
        """Return skopeo's name of the image in each place, by transport."""
        return {
            "docker": f"docker://{self.name}",
            "oci": f"oci:out/oci:{self.name}",
            "oci-archive": f"oci-archive:out/images/hello.oci.tar:{self.name}",
            "docker-archive": "docker-archive:out/images/hello.docker.tar",
        }

    def inspect(self, place: str, *flags: str) -> dict[str, Any]:
        tls = ("--tls-verify=false",) if place.startswith("docker:") else ()
        found: dict[str, Any] = json.loads(self.run("skopeo", "inspect", *flags, *tls, place))
        return found


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    root = tmp_path_factory.mktemp("interop")
    (root / "targets.toml").write_text(TARGETS)
    (root / "images" / "hello").mkdir(parents=True)
    (root / "images" / "hello" / "Dockerfile.j2").write_text(DOCKERFILE)
    (root / "hello-amd64").write_bytes(tiny.x86_64(b"hello amd64\n"))
    (root / "hello-arm64").write_bytes(tiny.aarch64(b"hello arm64\n"))
    (root / "note").write_text("a note\n")
    home = root / "home"
    home.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MESHWRIGHT_CACHE": str(root / "cache"),
        **conftest.outside_settings(),
    }
    with serve(installed_program(), root) as port:
        yield Job(root=root, hub=f"localhost:{port}", environ=environ)


@pytest.fixture(scope="module")
def units(job: Job) -> dict[str, Any]:
    """Everything, in one run."""
    save = ("--save", "oci-archive,docker-archive")
    return job.make("--hub", job.hub, "--layout", *save, "--no-load")


def test_every_place_has_the_same_index(job: Job, units: dict[str, Any]) -> None:
    pushed = units["push/hello"]["digest"]
    assert units["layout/hello"]["digest"] == pushed
    raw = {place: job.inspect(job.places[place], "--raw") for place in ("docker", "oci")}
    assert raw["docker"] == raw["oci"]
    assert {item["platform"]["architecture"] for item in raw["oci"]["manifests"]} == {
        *ARCHITECTURES
    }


@pytest.mark.parametrize("place", ["docker", "oci", "oci-archive"])
def test_skopeo_reads_each_platform_of_an_index(
    job: Job, units: dict[str, Any], place: str
) -> None:
    assert units
    for architecture in ARCHITECTURES:
        found = job.inspect(job.places[place], "--override-arch", architecture)
        assert found["Architecture"] == architecture
        assert "GREETING=hello" in found["Env"]
        assert len(found["Layers"]) == 3


def test_skopeo_reads_the_daemons_platform_of_a_docker_archive(
    job: Job, units: dict[str, Any]
) -> None:
    assert units
    found = job.inspect(job.places["docker-archive"])
    assert found["Architecture"] == OWN
    # skopeo names layers of such an archive by their plain tars.
    config = job.inspect(job.places["oci"], "--config", "--override-arch", OWN)
    assert found["Layers"] == config["rootfs"]["diff_ids"]


def test_skopeo_copies_everything_between_all_places(
    job: Job, units: dict[str, Any], tmp_path: Path
) -> None:
    for place in ("oci", "oci-archive"):
        target = f"docker://{job.hub}/copied/{place}:latest"
        job.run("skopeo", "copy", "--all", "--dest-tls-verify=false", job.places[place], target)
        raw = job.run("skopeo", "inspect", "--raw", "--tls-verify=false", target)
        assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == units["push/hello"]["digest"]
    for number, place in enumerate(job.places.values()):
        tls = ("--src-tls-verify=false",) if place.startswith("docker:") else ()
        target = f"oci:{tmp_path}/{number}:copy"
        job.run("skopeo", "copy", *tls, "--override-arch", OWN, place, target)
        assert Layout.open(tmp_path / str(number)).names == ("copy",)


def test_umoci_unpacks_each_platform(job: Job, units: dict[str, Any], tmp_path: Path) -> None:
    assert units
    # umoci knows no platforms: an index of several is ambiguous to it, so one is chosen first.
    for architecture in ARCHITECTURES:
        single, bundle = tmp_path / f"{architecture}.oci", tmp_path / architecture
        choice = ("--override-arch", architecture)
        job.run("skopeo", "copy", *choice, job.places["oci"], f"oci:{single}:one")
        job.run("umoci", "unpack", "--rootless", "--image", f"{single}:one", bundle)
        hello = bundle / "rootfs" / "hello"
        assert hello.read_bytes() == (job.root / f"hello-{architecture}").read_bytes()


def test_umoci_unpacks_a_layout_of_one_platform_as_it_is(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ("--no-push", "--no-load", "--platform", f"linux/{OWN}", "--out", str(out))
    job.make("--hub", job.hub, "--layout", *flags)
    bundle = tmp_path / "bundle"
    job.run("umoci", "unpack", "--rootless", "--image", f"{out}/oci:{job.name}", bundle)
    assert (bundle / "rootfs" / "etc" / "hello" / "note").read_text() == "a note\n"
    assert (bundle / "rootfs" / "hello").stat().st_mode & 0o777 == 0o755
    started = json.loads((bundle / "config.json").read_bytes())["process"]
    assert started["args"] == ["/hello"]


def test_what_nothing_changed_in_is_not_written_again(job: Job, units: dict[str, Any]) -> None:
    assert units
    again = job.make("--hub", job.hub, "--layout", "--save", "oci-archive", "--no-load")
    assert {unit["status"] for unit in again.values()} == {"cached"}


def test_a_layout_is_promoted_as_it_is(job: Job, units: dict[str, Any]) -> None:
    job.invoke("promote", "out/oci", f"{job.hub}/team")
    name = f"docker://{job.hub}/team/hello:latest"
    raw = job.run("skopeo", "inspect", "--raw", "--tls-verify=false", name)
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == units["layout/hello"]["digest"]


def test_what_targets_toml_no_longer_has_leaves_layout_and_archives(
    job: Job, tmp_path: Path
) -> None:
    targets, out = job.root / "two.toml", tmp_path / "out"
    place = ("--hub", job.hub, "--targets", str(targets), "--out", str(out))
    sinks = ("--layout", "--save", "oci-archive", "--no-push", "--no-load")
    flags = (*place, *sinks, "--platform", f"linux/{OWN}")
    other = TARGETS.partition("[images.hello]")[2]
    targets.write_text(
        f'{TARGETS}[images.other]\ntemplate = "images/hello/Dockerfile.j2"{other}'
        'description = "of its own"\n'
    )
    job.make(*flags)
    assert set(validate_layout(out / "oci")) == {job.name, f"{job.hub}/other:latest"}
    targets.write_text(TARGETS)
    job.make(*flags)
    assert set(validate_layout(out / "oci")) == {job.name}
    assert [path.name for path in (out / "images").iterdir()] == ["hello.oci.tar"]
    # An index, a manifest, a config and three layers.
    assert len(list((out / "oci" / "blobs" / "sha256").iterdir())) == 6


def test_a_damaged_layout_is_mended(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ("--hub", job.hub, "--out", str(out), "--layout", "--no-push", "--no-load")
    job.make(*flags)
    blob = max((out / "oci" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(blob, 100)
    again = job.make(*flags)["layout/hello"]
    assert (again["status"], blob.name in again["reason"]) == ("done", True)
    validate_layout(out / "oci")
    assert job.make(*flags)["layout/hello"]["status"] == "cached"


@pytest.mark.docker
def test_docker_runs_what_was_pushed_and_what_was_saved(job: Job, units: dict[str, Any]) -> None:
    assert units
    expected = f"hello {OWN}\n".encode()
    try:
        job.run("docker", "pull", "--quiet", job.name)
        assert job.run("docker", "run", "--rm", job.name) == expected
        job.run("docker", "image", "rm", job.name)
        job.run("docker", "load", "--input", job.root / "out" / "images" / "hello.docker.tar")
        assert job.run("docker", "run", "--rm", job.name) == expected
    finally:
        subprocess.run(
            ["docker", "image", "rm", "--force", job.name],
            env=job.environ,
            check=False,
            capture_output=True,
        )


@pytest.mark.slow
@pytest.mark.network
def test_crane_finds_nothing_wrong(job: Job, units: dict[str, Any], tmp_path: Path) -> None:
    assert units
    go = {**os.environ, **job.environ, "GOBIN": str(tmp_path), "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "install", CRANE], env=go, check=True, capture_output=True)
    crane = tmp_path / "crane"
    job.run(crane, "validate", "--remote", job.name)
    job.run(crane, "validate", "--tarball", "out/images/hello.docker.tar")
    # crane validates no layout in place; it reads one whole to push it.
    job.run(crane, "push", "--index", "out/oci", f"{job.hub}/layout:latest")
    job.run(crane, "validate", "--remote", f"{job.hub}/layout:latest")
