"""The parameters of a build: what was asked for, and how it was compiled."""

from __future__ import annotations

from pathlib import Path

from buildkit.attest.parameters import external_parameters, internal_parameters, join_parameters
from buildkit.plan.units import Compile, Kind, RunCommand, Unit
from buildkit.platform import Platform


def unit(name: str, platform: str, group: str = "", tags: tuple[str, ...] = ()) -> Unit:
    action = Compile(
        group=group,
        package=f"./cmd/{name}",
        source=Path("/home/ann/mesh"),
        output=Path(f"/home/ann/mesh/out/{name}"),
        toolchain="go1.26.8",
        tags=tags,
        ldflags=("-s",),
        gcflags=(),
        cgo=False,
        env=(("GOAMD64", "v2"),),
        trimpath=True,
        stamps=(("main.version", "1"),),
        volatile_stamps=(),
    )
    return Unit(kind=Kind.BINARY, name=name, platform=Platform.parse(platform), action=action)


UNITS = (unit("b", "linux/arm64"), unit("a", "linux/amd64", "agent", ("agent",)))


def test_what_was_asked_for_is_listed_in_one_order() -> None:
    found = external_parameters(UNITS, version="1.2.3", source="", targets="targets.toml")
    assert found == {
        "version": "1.2.3",
        "targets": "targets.toml",
        "units": ["binary/a@linux/amd64", "binary/b@linux/arm64"],
    }
    again = external_parameters(UNITS[::-1], version="1.2.3", source="", targets="targets.toml")
    assert found == again


def test_settings_are_by_group_and_name_no_place_of_this_machine() -> None:
    found = internal_parameters(UNITS)
    assert set(found["compile"]) == {"agent", "default"}
    assert found["compile"]["agent"] == {
        "toolchain": "go1.26.8",
        "tags": ["agent"],
        "ldflags": ["-s"],
        "cgo": False,
        "env": {"GOAMD64": "v2"},
        "trimpath": True,
    }
    assert "/home" not in str(found)
    assert internal_parameters(()) == {}


def test_a_group_that_differs_between_platforms_is_listed_for_each() -> None:
    units = (unit("a", "linux/amd64"), unit("a", "linux/arm64", tags=("x",)))
    found = internal_parameters(units)["compile"]
    assert {name: item.get("tags") for name, item in found.items()} == {
        "default@linux/amd64": None,
        "default@linux/arm64": ["x"],
    }


def test_commands_are_listed_with_names_instead_of_places() -> None:
    here = Path("/home/ann/mesh")
    action = RunCommand(
        name="web",
        argv=("make", "${out}"),
        env=(("FROM", "${source}/web"),),
        directory=here,
        where="${source}",
        inputs=(("web", here / "web"),),
        outputs=("dist",),
        folder=here / "out" / "command" / "web",
        into_source=False,
        paths=(("source", here),),
        log=here / "log",
    )
    found = internal_parameters(
        (Unit(kind=Kind.COMMAND, name="web", platform=None, action=action),)
    )
    listed = {
        "argv": ["make", "${out}"],
        "env": {"FROM": "${source}/web"},
        "directory": "${source}",
    }
    assert found == {"commands": {"command/web": listed}}
    assert join_parameters({}, {"b": {}, "a": listed}) == {"commands": {"a": listed, "b": {}}}
