from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.adopt.golist import Package, list_packages, main_packages, parse_listing
from buildkit.adopt.model import Binary
from buildkit.errors import BuildError
from buildkit.toolchain import Toolchain
from tests.fakes.runner import FakeRunner

GO = Toolchain(goroot=Path("/go"), version="1.26.8", release="go1.26.8")
FIELDS = "-json=ImportPath,Name,Dir,Error,DepsErrors"
MODULE = "example.com/mesh"


def listing(*packages: dict[str, object]) -> bytes:
    return b"".join(json.dumps(package, indent="\t").encode() + b"\n" for package in packages)


def described(tree: Path, path: str, name: str = "main", *errors: str) -> dict[str, object]:
    found: dict[str, object] = {
        "ImportPath": f"{MODULE}/{path}".rstrip("/"),
        "Name": name,
        "Dir": str(tree / path),
    }
    if errors:
        found["DepsErrors"] = [{"Err": text} for text in errors]
    return found


def mains(tree: Path, *linux: dict[str, object], darwin: bytes | None = None) -> tuple[Binary, ...]:
    both = {"linux": parse_listing(listing(*linux))}
    both["darwin"] = both["linux"] if darwin is None else parse_listing(darwin)
    return main_packages(both, tree, MODULE)


def test_packages_are_read_from_the_objects_that_go_prints(tmp_path: Path) -> None:
    text = listing(described(tmp_path, "cmd/a"), described(tmp_path, "pkg/b", "b"))
    first, second = parse_listing(text)
    assert first == Package(import_path=f"{MODULE}/cmd/a", name="main", dir=str(tmp_path / "cmd/a"))
    assert second.name == "b"
    with pytest.raises(BuildError, match="something else than packages"):
        parse_listing(b"{broken")


def test_go_is_asked_for_one_system_without_cgo(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: (0, listing(described(tmp_path, "cmd/a")), b""))
    found = list_packages(GO, {"PATH": "/x"}, runner, tmp_path, "darwin")
    assert [package.name for package in found] == ["main"]
    call = runner.calls[0]
    assert call.argv == ("/go/bin/go", "list", "-e", FIELDS, "./...")
    assert call.env == {"PATH": "/x", "GOOS": "darwin", "CGO_ENABLED": "0"}


def test_a_go_that_knows_no_names_of_fields_prints_them_all(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: (0, listing(described(tmp_path, "cmd/a")), b""))
    old = Toolchain(goroot=Path("/go"), version="1.18.10", release="go1.18.10")
    list_packages(old, {}, runner, tmp_path, "linux")
    assert runner.calls[0].argv[-2] == "-json"


def test_a_module_that_go_does_not_understand_is_an_error_with_go_s_words(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: (1, b"", b"go: errors parsing go.mod"))
    with pytest.raises(BuildError, match="does not understand") as caught:
        list_packages(GO, {}, runner, tmp_path, "linux")
    assert caught.value.details == "go: errors parsing go.mod"


def test_programs_have_the_names_that_go_gives_them_and_no_two_the_same(tmp_path: Path) -> None:
    paths = ("cmd/agent", "tools/agent", "op/cmd/op", "op/cmd", "sample/src", "x/v2", "logs", "")
    found = mains(tmp_path, *(described(tmp_path, path) for path in paths))
    assert {item.package: item.name for item in found} == {
        ".": "mesh",
        "./cmd/agent": "agent",
        "./tools/agent": "tools-agent",
        "./op/cmd/op": "op",
        "./op/cmd": "op-cmd",
        "./sample/src": "sample",
        "./x/v2": "x",
        "./logs": "logs-2",
    }


def test_libraries_are_no_programs(tmp_path: Path) -> None:
    assert mains(tmp_path, described(tmp_path, "pkg/x", "x")) == ()


def test_what_cannot_compile_is_left_out_with_go_s_own_reason(tmp_path: Path) -> None:
    error = "build constraints exclude all Go files in /x\nand more"
    (found,) = mains(tmp_path, described(tmp_path, "cmd/a", "main", error))
    assert found.left_out == "build constraints exclude all Go files in /x"


def test_what_one_system_cannot_compile_is_for_the_others(tmp_path: Path) -> None:
    broken = listing(described(tmp_path, "cni", "main", "build constraints exclude all Go files"))
    (found,) = mains(tmp_path, described(tmp_path, "cni"), darwin=broken)
    assert (found.systems, found.left_out) == (("linux",), "")
    (absent,) = mains(tmp_path, described(tmp_path, "cni"), darwin=b"")
    assert absent.systems == ("linux",)


def test_what_the_network_kept_from_being_seen_is_a_doubt_only(tmp_path: Path) -> None:
    error = "example.com/x@v1: reading https://proxy.example.com/x: 403 Forbidden"
    (found,) = mains(tmp_path, described(tmp_path, "cmd/a", "main", error))
    assert found == Binary(
        name="a", package="./cmd/a", doubt=f"not all could be looked at: {error}"
    )
