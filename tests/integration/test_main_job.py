"""The main job of the README, on the default project: build, image, push, prove."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast

import pytest

from buildkit.machine import check_machine
from buildkit.oci.model import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
from buildkit.platform import Platform
from tests.golden.table import Observed, Open, observe_parts
from tests.integration import conftest
from tests.integration.registry_servers import installed_program, serve

ROOT = Path(__file__).parents[2]
PLATFORMS = ("linux/amd64", "linux/arm64")
OTHER = next(text for text in PLATFORMS if text != f"linux/{Platform.host().arch}")
IMAGES = ("proxyv2", "pilot", "istioctl", "operator", "install-cni", "app", "ext-authz")
BINARIES = (
    *("bug-report", "client", "envoy", "extauthz", "install-cni", "istio-cni", "istio-cni-taint"),
    *("istio-iptables", "istioctl", "operator", "pilot-agent", "pilot-discovery", "server"),
)
pytestmark = [
    pytest.mark.go,
    pytest.mark.docker,
    pytest.mark.registry,
    pytest.mark.network,
    pytest.mark.timeout(900),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One out directory, user cache and registry."""

    environ: dict[str, str]
    hub: str
    out: Path

    def invoke(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, *words: str) -> dict[str, Any]:
        """Run tasks with the job's flags and return the JSON document."""
        flags = ("--hub", self.hub, "--out", str(self.out), "--platform", ",".join(PLATFORMS))
        done = self.invoke(*words, *flags, "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def index(self, name: str) -> tuple[str, dict[str, str]]:
        """Return what a tag names: the index's digest, and its manifests by platform."""
        url = f"http://{self.hub}/v2/{name}/manifests/latest"
        accept = {"Accept": "application/vnd.oci.image.index.v1+json, " + DOCKER_LIST}
        with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
            body = answer.read()
        manifests = {
            f"{item['platform']['os']}/{item['platform']['architecture']}": item["digest"]
            for item in json.loads(body)["manifests"]
        }
        return f"sha256:{hashlib.sha256(body).hexdigest()}", manifests

    def fetch(self, path: str, accept: str = "*/*") -> BufferedIOBase:
        """Open what the registry has at a path."""
        url = f"http://{self.hub}/v2/{path}"
        answer = urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}))
        return cast("BufferedIOBase", answer)

    def fetch_json(self, path: str, accept: str) -> dict[str, Any]:
        """Return a manifest."""
        with self.fetch(path, accept) as answer:
            value: dict[str, Any] = json.load(answer)
        return value

    def observe(self, name: str, tag: str) -> dict[str, Observed]:
        """Return config and files of every platform of a tag, as the registry gives them."""
        index = self.fetch_json(f"{name}/manifests/{tag}", OCI_INDEX)
        return {
            f"{item['platform']['os']}/{item['platform']['architecture']}": self._observe(
                name, self.fetch_json(f"{name}/manifests/{item['digest']}", OCI_MANIFEST)
            )
            for item in index["manifests"]
        }

    def _observe(self, name: str, manifest: dict[str, Any]) -> Observed:
        def opened(layer: dict[str, Any]) -> Open:
            def plain() -> BufferedIOBase:
                stream = self.fetch(f"{name}/blobs/{layer['digest']}")
                packed = layer["mediaType"].endswith("gzip")
                return gzip.GzipFile(fileobj=stream) if packed else stream

            return plain

        with self.fetch(f"{name}/blobs/{manifest['config']['digest']}") as answer:
            config = answer.read()
        return observe_parts(config, [opened(layer) for layer in manifest["layers"]])

    def run_other(self, name: str, *words: str, entry: str = "") -> bytes:
        """Run an image of the platform that this machine emulates; return what it prints."""
        _, manifests = self.index(name)
        start = ["--entrypoint", entry] if entry else []
        image = f"{self.hub}/{name}@{manifests[OTHER]}"
        done = subprocess.run(
            ["docker", "run", "--rm", "--platform", OTHER, *start, image, *words],
            env=self.environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        hub = f"localhost:{probe.getsockname()[1]}"
    home = tmp_path_factory.mktemp("home")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MESHWRIGHT_CACHE": str(home / "cache"),
        **conftest.outside_settings(),
    }
    made = Job(environ=environ, hub=hub, out=tmp_path_factory.mktemp("job") / "out")
    yield made
    made.invoke("registry.stop")
    subprocess.run(
        ["docker", "image", "rm", "--force", *(f"{hub}/{name}:latest" for name in IMAGES)],
        env=environ,
        check=False,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def first(job: Job) -> dict[str, Any]:
    return job.make("build", "docker")


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {unit["id"]: unit["status"] for unit in document["units"]}


def test_every_binary_of_the_seed_is_there_for_its_machine(job: Job, first: dict[str, Any]) -> None:
    assert set(statuses(first).values()) <= {"done", "cached"}
    for text in PLATFORMS:
        platform = Platform.parse(text)
        folder = job.out / platform.slug
        found = sorted(path.name for path in folder.iterdir() if path.is_file())
        assert found == sorted(BINARIES)
        for name in BINARIES:
            check_machine(folder / name, platform)


def test_stamps_of_the_binaries_are_those_of_the_plan(job: Job, first: dict[str, Any]) -> None:
    for name in ("pilot-discovery", "pilot-agent", "istio-cni"):
        program = job.out / Platform.host().slug / name
        done = subprocess.run(
            [program, "version", "-o", "json"], capture_output=True, check=True, env={}
        )
        said = json.loads(done.stdout)
        assert said["version"] == first["version"]["value"]
        assert said["hub"] == "docker.io/istio"
        assert (said["os"], said["arch"]) == ("linux", Platform.host().arch)
        assert said["revision"] != "unknown"


def test_one_tag_is_one_index_of_both_platforms(job: Job, first: dict[str, Any]) -> None:
    digests = {unit["name"]: unit["digest"] for unit in first["units"] if unit["kind"] == "push"}
    assert sorted(digests) == sorted(IMAGES)
    for name in IMAGES:
        digest, manifests = job.index(name)
        assert digest == digests[name]
        assert set(manifests) == set(PLATFORMS)


def test_the_daemon_lists_its_own_platform_under_the_hub(job: Job, first: dict[str, Any]) -> None:
    del first
    for name in IMAGES:
        done = subprocess.run(
            ["docker", "image", "inspect", f"{job.hub}/{name}:latest"],
            env=job.environ,
            capture_output=True,
            check=True,
        )
        (image,) = json.loads(done.stdout)
        labels = image["Config"]["Labels"]
        assert image["Architecture"] == Platform.host().arch
        assert labels["org.opencontainers.image.title"] == name
        assert labels["org.opencontainers.image.version"] == "0.1.0"
        assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")


def test_nothing_is_done_twice(job: Job, first: dict[str, Any]) -> None:
    del first
    again = job.make("build", "docker")
    assert set(statuses(again).values()) == {"cached"}
    plan = job.make("plan")
    assert {unit["verdict"] for unit in plan["units"]} == {"CACHED"}


def test_requests_pass_are_refused_and_follow_a_changed_configuration(
    job: Job, first: dict[str, Any]
) -> None:
    del first
    proven = job.make("smoke")["proven"]
    assert sum(line.startswith("proven: ") for line in proven) == 3
    left = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", "label=meshwright.smoke"],
        env=job.environ,
        capture_output=True,
        check=True,
    )
    assert left.stdout == b""


def test_all_images_are_promoted_by_digest_to_another_registry(
    job: Job, first: dict[str, Any], tmp_path: Path
) -> None:
    digests = {unit["name"]: unit["digest"] for unit in first["units"] if unit["kind"] == "push"}
    with serve(installed_program(), tmp_path) as port:
        hub = f"127.0.0.1:{port}/own"
        flags = ("--out", str(job.out), "--new-tag", "1.4.0", "--json")
        for change in ("new", "same"):
            done = job.invoke("promote", job.hub, hub, *flags)
            assert done.returncode == 0, done.stderr
            images = json.loads(done.stdout)["images"]
            assert {item["change"] for item in images} == {change}
            assert {item["destination"]: item["digest_there"] for item in images} == {
                f"{hub}/{name}:1.4.0": digest for name, digest in digests.items()
            }
            assert all(item["digest"] == item["digest_there"] for item in images)


@pytest.mark.parametrize("name", IMAGES)
def test_the_other_platform_runs_under_emulation(
    job: Job, first: dict[str, Any], name: str
) -> None:
    del first
    # The second programs of these images: their first ones are run by the smoke test.
    programs = {"app": "/usr/local/bin/client", "install-cni": "/opt/local/bin/istio-cni-taint"}
    entry = programs.get(name, "")
    said = json.loads(job.run_other(name, "version", "-o", "json", entry=entry))
    assert (said["version"], f"{said['os']}/{said['arch']}") == ("0.1.0", OTHER)


def test_the_other_platforms_envoy_runs_under_emulation(job: Job, first: dict[str, Any]) -> None:
    del first
    assert b"1.40.0" in job.run_other("proxyv2", "--version", entry="/usr/local/bin/envoy")


def test_both_engines_make_the_same_images(job: Job, first: dict[str, Any]) -> None:
    del first
    for engine in ("oci", "docker"):
        made = job.make("docker", "--engine", engine, "--tag", engine, "--no-load")
        assert set(statuses(made).values()) <= {"done", "cached"}
    for name in IMAGES:
        one, two = (job.observe(name, engine) for engine in ("oci", "docker"))
        assert set(one) == set(PLATFORMS)
        assert one == two
