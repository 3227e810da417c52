from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from buildkit.errors import EnvironmentMissingError
from buildkit.platform import Platform
from buildkit.toolchain import (
    LockedGo,
    Toolchain,
    Wanted,
    child_environment,
    choose_go,
    find_go,
    read_settings,
    toolchain_at,
)
from tests.fakes.runner import FakeRunner, refuse

LOCKED = LockedGo(version="1.26.8", sum="h1:abc=", host=Platform.parse("linux/amd64"))


def make_goroot(goroot: Path, release: str) -> Path:
    go = goroot / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.write_text("#!/bin/sh\n")
    go.chmod(0o755)
    if release:
        (goroot / "VERSION").write_text(f"{release}\ntime 2026-08-28T16:20:06Z\n")
    return goroot


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("go1.26.8", "1.26.8"),
        ("go1.17", "1.17"),
        ("go1.27rc1", "1.27rc1"),
        ("go1.26.8 X:nodwarf5", "1.26.8"),
        ("devel go1.28-0123abc Mon Nov 2 2026", "1.28"),
    ],
)
def test_go_on_path_is_found_without_starting_it(
    tmp_path: Path, release: str, version: str
) -> None:
    goroot = make_goroot(tmp_path / "go", release)
    found = find_go({"PATH": str(goroot / "bin")}, FakeRunner(refuse), tmp_path)
    assert found == Toolchain(goroot=goroot, version=version, release=release)
    assert found.go == goroot / "bin" / "go"


def test_a_link_on_path_leads_to_the_goroot(tmp_path: Path) -> None:
    goroot = make_goroot(tmp_path / "Cellar" / "go" / "libexec", "go1.26.8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").symlink_to(goroot / "bin" / "go")
    found = find_go({"PATH": str(tmp_path / "bin")}, FakeRunner(refuse), tmp_path)
    assert found is not None
    assert found.goroot == goroot


def test_a_shim_is_asked_where_the_real_go_lies(tmp_path: Path) -> None:
    goroot = make_goroot(tmp_path / "versions" / "1.26.8", "go1.26.8")
    shims = make_goroot(tmp_path / "shims", "") / "bin"
    answer = json.dumps({"GOROOT": str(goroot), "GOVERSION": "go1.26.8"}).encode()
    runner = FakeRunner(lambda _: (0, answer, b""))
    found = find_go({"PATH": str(shims), "GOENV_VERSION": "1.26"}, runner, tmp_path)
    assert found is not None
    assert found.goroot == goroot
    (call,) = runner.calls
    assert call.cwd == tmp_path
    assert call.env["GOTOOLCHAIN"] == "local"
    assert call.env["GOENV_VERSION"] == "1.26"


def test_a_go_that_says_nothing_is_an_error_and_none_is_none(tmp_path: Path) -> None:
    shims = make_goroot(tmp_path / "shims", "") / "bin"
    runner = FakeRunner(lambda _: (1, b"", b"no version is set"))
    with pytest.raises(EnvironmentMissingError, match="no version is set"):
        find_go({"PATH": str(shims)}, runner, tmp_path)
    assert find_go({"PATH": str(tmp_path)}, runner, tmp_path) is None
    assert find_go({}, FakeRunner(refuse), tmp_path) is None
    assert toolchain_at(tmp_path / "absent") is None


def toolchain(tmp_path: Path) -> Toolchain:
    found = toolchain_at(make_goroot(tmp_path / "go", "go1.26.8"))
    assert found is not None
    return found


def test_settings_are_the_users_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    go = toolchain(tmp_path)
    said = {"GOPROXY": "https://proxy.example", "GOPRIVATE": "", "GOMODCACHE": "/home/u/mod"}
    runner = FakeRunner(lambda _: (0, json.dumps(said).encode(), b""))
    settings = read_settings(go, {"HOME": "/home/u"}, runner)
    assert settings == {"GOPROXY": "https://proxy.example", "GOMODCACHE": "/home/u/mod"}
    (call,) = runner.calls
    assert call.argv[:3] == (str(go.go), "env", "-json")
    assert {"GOAUTH", "GONOSUMDB", "GOCACHE"} <= set(call.argv)
    assert call.cwd == go.goroot


def test_broken_settings_are_told_in_gos_words(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: (1, b"", b"go: invalid setting"))
    with pytest.raises(EnvironmentMissingError, match="go: invalid setting"):
        read_settings(toolchain(tmp_path), {}, runner)


def test_a_child_gets_what_the_list_allows_and_nothing_else(tmp_path: Path) -> None:
    go = toolchain(tmp_path)
    environ = {
        "HOME": "/home/u",
        "PATH": "/usr/bin",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "example.com",
        "SSL_CERT_FILE": "/ca.pem",
        "SSH_AUTH_SOCK": "/agent",
        "NETRC": "/home/u/.netrc",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.x.insteadOf",
        "GIT_CONFIG_VALUE_0": "y",
        "GIT_DIR": "/elsewhere/.git",
        "GOFLAGS": "-mod=vendor",
        "GOEXPERIMENT": "nodwarf5",
        "CGO_CFLAGS": "-O3",
        "GOAMD64": "v3",
        "GOWORK": "off",
        "GOOS": "plan9",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    env = child_environment(go, {"GOPROXY": "off"}, environ, {"GOOS": "linux", "GOARCH": "arm64"})
    assert env == {
        "HOME": "/home/u",
        "PATH": f"{go.goroot / 'bin'}{os.pathsep}/usr/bin",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "example.com",
        "SSL_CERT_FILE": "/ca.pem",
        "SSH_AUTH_SOCK": "/agent",
        "NETRC": "/home/u/.netrc",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.x.insteadOf",
        "GIT_CONFIG_VALUE_0": "y",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOOS": "linux",
        "GOARCH": "arm64",
    }


def test_what_targets_toml_names_wins(tmp_path: Path) -> None:
    env = child_environment(
        toolchain(tmp_path), {"GOPROXY": "off"}, {}, {"GOPROXY": "x", "GOFLAGS": "-v"}
    )
    assert (env["GOPROXY"], env["GOFLAGS"]) == ("x", "-v")


def test_a_go_that_fits_is_taken_with_its_place_as_reason(tmp_path: Path) -> None:
    go = toolchain(tmp_path)
    choice = choose_go(found=go, wanted=Wanted(specifier=">=1.25"), locked=LOCKED, cache=tmp_path)
    assert choice.toolchain == go
    assert choice.reason == f"Go 1.26.8 on PATH, {go.goroot}"


def test_without_one_the_locked_go_is_chosen_and_found_in_the_cache_later(tmp_path: Path) -> None:
    choice = choose_go(found=None, wanted=Wanted(), locked=LOCKED, cache=tmp_path)
    assert (choice.version, choice.toolchain) == ("1.26.8", None)
    assert choice.reason == "no Go on PATH; the locked Go 1.26.8"
    home = make_goroot(LOCKED.home(tmp_path), "go1.26.8")
    later = choose_go(found=None, wanted=Wanted(), locked=LOCKED, cache=tmp_path)
    assert later.toolchain == toolchain_at(home)


def test_another_sum_is_another_place_in_the_cache(tmp_path: Path) -> None:
    other = LockedGo(version="1.26.8", sum="h1:xyz=", host=LOCKED.host)
    assert other.home(tmp_path) != LOCKED.home(tmp_path)
    assert LOCKED.module_version == "v0.0.1-go1.26.8.linux-amd64"


def test_a_go_too_old_is_named_with_what_is_wanted(tmp_path: Path) -> None:
    old = Toolchain(goroot=tmp_path, version="1.17.13", release="go1.17.13")
    wanted = Wanted(minimum="1.26.0", origin="go.mod")
    choice = choose_go(found=old, wanted=wanted, locked=LOCKED, cache=tmp_path)
    assert choice.version == "1.26.8"
    assert choice.reason.startswith("PATH has Go 1.17.13, go.mod wants 1.26.0 or newer;")
    assert choice.found == old


@pytest.mark.parametrize("locked", [None, LOCKED])
def test_no_way_to_a_go_says_what_to_install(tmp_path: Path, locked: LockedGo | None) -> None:
    wanted = Wanted(minimum="1.27.0", origin="go.mod", specifier="<2")
    with pytest.raises(EnvironmentMissingError) as caught:
        choose_go(found=None, wanted=wanted, locked=locked, cache=tmp_path)
    assert caught.value.brief.startswith("no usable Go: no Go on PATH")
    assert caught.value.resolution.startswith("Install Go 1.27.0 or newer and <2, or")
