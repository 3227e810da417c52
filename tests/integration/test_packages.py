"""The mesh's packages, read and installed by the programs of those who get them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.packages, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
AMD, BOTH = "linux/amd64", "linux/amd64,linux/arm64"
OVERRIDDEN = {"dir-in-usr-local", "file-in-usr-local", "statically-linked-binary"}
RPM = {"amd64": "x86_64", "arm64": "aarch64"}
FILES = {
    "/etc/istio/envoy_bootstrap_tmpl.json",
    "/etc/istio/sidecar.env",
    "/usr/local/bin/envoy",
    "/usr/local/bin/istio-start.sh",
    "/usr/local/bin/pilot-agent",
    "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
    "/var/lib/istio/envoy/sidecar.env",
}
FOLDERS = {"/etc/certs", "/var/log/istio"} | {
    f"/var/lib/istio/{name}" for name in ("config", "envoy", "proxy")
}


class Packages:
    """A user's cache and what was made into it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, out: str, platforms: str, *words: str, **env: str) -> dict[str, Any]:
        program = [sys.executable, "-c", "from buildkit.tasks import main; main()", "package"]
        flags = ["--platform", platforms, "--out", str(self.root / out), "--json"]
        done = subprocess.run(
            [*program, *flags, *words],
            cwd=ROOT,
            env={**os.environ, "MESHWRIGHT_CACHE": str(self.root / "cache"), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {unit["id"]: unit for unit in json.loads(done.stdout)["units"]}

    def file(self, form: str, arch: str) -> Path:
        return self.root / "out" / f"linux_{arch}" / "release" / f"istio-sidecar.{form}"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return Packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def made(packages: Packages, machine: None) -> Packages:
    """The packages of both platforms; made by the first test that asks, as the user's Go does."""
    del machine
    if not packages.file("deb", "amd64").exists():
        packages.make("out", BOTH)
    return packages


def output(*words: str | Path) -> str:
    done = subprocess.run(list(words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_dpkg_reads_the_deb(made: Packages, arch: str) -> None:
    deb = made.file("deb", arch)
    fields = dict(
        line.split(": ", 1)
        for line in output("dpkg-deb", "--field", deb).splitlines()
        if ": " in line
    )
    assert fields["Package"] == "istio-sidecar"
    assert fields["Architecture"] == arch
    wanted = {"iptables", "sudo", "iproute2", "passwd", "libc6 (>= 2.30)"}
    assert set(fields["Depends"].split(", ")) == wanted
    conffiles = output("dpkg-deb", "--info", deb, "conffiles").split()
    assert conffiles == ["/etc/istio/envoy_bootstrap_tmpl.json", "/etc/istio/sidecar.env"]
    listed = output("dpkg-deb", "--contents", deb).splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    names = {line.split(" ./", 1)[1].split(" -> ")[0].rstrip("/") for line in listed}
    assert {name.lstrip("/") for name in FILES | FOLDERS} <= names


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_rpm_reads_the_rpm_and_installs_it_into_a_root_of_its_own(
    made: Packages, tmp_path: Path, arch: str
) -> None:
    rpm = made.file("rpm", arch)
    query = output("rpm", "-qp", "--qf", "%{name} %{arch} %{license} %{buildhost}", rpm)
    assert query == f"istio-sidecar {RPM[arch]} Apache-2.0 localhost"
    requires = output("rpm", "-qp", "--requires", rpm).splitlines()
    wanted = {"glibc >= 2.30", "iptables", "iproute", "sudo", "hostname", "shadow-utils"}
    assert wanted <= {line.strip() for line in requires}
    config = output("rpm", "-qpc", rpm).split()
    assert config == ["/etc/istio/envoy_bootstrap_tmpl.json", "/etc/istio/sidecar.env"]
    # Its root has no shell to run scripts with and no database that knows glibc.
    install = ["--install", "--nodeps", "--noscripts", "--ignorearch", str(rpm)]
    outside = [] if os.getuid() == 0 else ["unshare", "--map-root-user"]
    root = ["rpm", "--root", str(tmp_path)]
    output(*outside, *root, "--initdb")
    output(*outside, *root, *install)
    assert output(*outside, *root, "--query", "istio-sidecar").startswith("istio-sidecar-")
    installed = {f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*")}
    assert installed >= FILES | FOLDERS
    assert (tmp_path / "usr/local/bin/envoy").stat().st_mode & 0o777 == 0o755


# It takes ten seconds to look into an Envoy.
@pytest.mark.parametrize("arch", ["amd64", pytest.param("arm64", marks=pytest.mark.slow)])
def test_lintian_finds_no_error_and_each_override_has_a_reason(made: Packages, arch: str) -> None:
    words = ["lintian", "--allow-root", "--show-overrides", str(made.file("deb", arch))]
    # What is overridden counts for its exit status too.
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line for line in told if line.startswith("E:")] == []
    overridden = {line.split()[2] for line in told if line.startswith("O:")}
    assert overridden == OVERRIDDEN | {"file-in-unusual-dir"}
    assert {line.split()[0] for line in told} <= {"N:", "O:", "W:"}
    # A reason is told before what it is the reason of.
    marks = "".join(line[0] for line in told if line[0] in "NO")
    assert re.fullmatch(r"N+O+N+O+", marks)


def test_the_same_commit_gives_the_same_bytes_without_network(made: Packages) -> None:
    first = made.make("out", AMD)
    again = made.make("other", AMD, "--force", "--offline")
    units = {name for name in first if name.startswith(("deb/", "rpm/"))}
    assert len(units) == 2
    assert {name: first[name]["digest"] for name in units} == {
        name: again[name]["digest"] for name in units
    }
    assert {first[name]["status"] for name in units} == {"cached"}
    assert {again[name]["status"] for name in units} == {"done"}


def test_the_given_time_counts(made: Packages) -> None:
    now = {"SOURCE_DATE_EPOCH": "1000000000"}
    found = made.make("elsewhere", AMD, "--only", "deb/istio-sidecar", **now)
    path = Path(found[f"deb/istio-sidecar@{AMD}"]["path"])
    listed = output("dpkg-deb", "--contents", path)
    assert set(re.findall(r"\d{4}-\d\d-\d\d", listed)) == {"2001-09-09"}
