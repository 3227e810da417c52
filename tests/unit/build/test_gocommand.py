from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.build.gocommand import Target, list_argv, make_calls
from buildkit.plan.units import Compile, Kind, Unit
from buildkit.platform import Platform

GO = Path("/go/bin/go")


def target(toolchain: str) -> Target:
    action = Compile(
        group="agent",
        package="./cmd/app",
        source=Path("/tree"),
        output=Path("/out/app"),
        toolchain=toolchain,
        tags=("a", "b"),
        ldflags=(),
        gcflags=(),
        cgo=False,
        env=(),
        trimpath=True,
        stamps=(),
        volatile_stamps=(),
    )
    platform = Platform("linux", "amd64")
    return Target.of(Unit(kind=Kind.BINARY, name="app", platform=platform, action=action))


@pytest.mark.parametrize(
    ("toolchain", "asks_git", "has_fields"),
    [
        ("go1.17.13", False, False),
        ("go1.18", True, False),
        ("go1.19.1", True, True),
        ("go1.26.8 X:nocoverageredesign", True, True),
        ("devel go1.27-abc", True, True),
    ],
)
def test_a_go_gets_the_flags_that_it_knows(
    toolchain: str, *, asks_git: bool, has_fields: bool
) -> None:
    chosen = target(toolchain)
    (call,) = make_calls([chosen], Path("/stage"))
    argv = call.argv(GO, 2, {})
    assert ("-buildvcs=false" in argv) is asks_git
    assert argv[-2:] == ["-tags=a,b", "./cmd/app"]
    listed = list_argv(GO, chosen)
    assert listed[:3] == [str(GO), "list", "-deps"]
    assert ("-json" in listed) is not has_fields
    assert listed[-1] == "-tags=a,b"
