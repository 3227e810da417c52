"""``--set``: dotted paths, and values that become what the key can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from buildkit.config.assign import assigned
from buildkit.errors import UsageError

BELOW: dict[str, Any] = {
    "project": {"name": "mesh"},
    "images": {"pilot": {"base": ["static"]}},
    "fetch": {"envoy": {"version": "1"}},
    "go": {"group": {"agent": {}}},
}


def data(*assignments: str) -> dict[str, Any]:
    return assigned(assignments, BELOW, Path("/mesh")).data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.hub=localhost:5190", {"registry": {"hub": "localhost:5190"}}),
        ('registry.hub="quoted"', {"registry": {"hub": "quoted"}}),
        ("registry.push=true", {"registry": {"push": True}}),
        ("registry.tags=a, b", {"registry": {"tags": ["a", "b"]}}),
        ('registry.tags=["a,b"]', {"registry": {"tags": ["a,b"]}}),
        ("registry.hub=a=b", {"registry": {"hub": "a=b"}}),
        ("registry.hub=", {"registry": {"hub": ""}}),
        ("fetch.envoy.version=1.20", {"fetch": {"envoy": {"version": "1.20"}}}),
        ('fetch.envoy.version={file="x"}', {"fetch": {"envoy": {"version": {"file": "x"}}}}),
        ("project.name=true", {"project": {"name": "true"}}),
        ("matrix.default=native", {"matrix": {"default": "native"}}),
        ('matrix.default=["linux/amd64"]', {"matrix": {"default": ["linux/amd64"]}}),
        ("images.pilot.base=static", {"images": {"pilot": {"base": ["static"]}}}),
        ("images.new={base=['static']}", {"images": {"new": {"base": ["static"]}}}),
        ("go.group.agent.cgo=true", {"go": {"group": {"agent": {"cgo": True}}}}),
        ("go.env.GOAMD64=v3", {"go": {"env": {"GOAMD64": "v3"}}}),
        ('mirrors."docker.io"=m.example.com', {"mirrors": {"docker.io": "m.example.com"}}),
    ],
)
def test_a_value_becomes_what_its_key_holds(text: str, expected: dict[str, Any]) -> None:
    assert data(text) == expected


def test_a_value_that_its_key_cannot_hold_is_left_for_the_check() -> None:
    assert data("registry.push=maybe") == {"registry": {"push": "maybe"}}
    assert data("smoke.steps=3") == {"smoke": {"steps": 3}}


def test_several_are_laid_together() -> None:
    found = data("registry.hub=a.com", "registry.push=false", "registry.hub=a.com")
    assert found == {"registry": {"hub": "a.com", "push": False}}


@pytest.mark.parametrize(
    "pair", [("registry.hub=a", "registry.hub=b"), ("images.x={base=['a']}", "images.x={base=[]}")]
)
def test_two_values_for_one_key_contradict_each_other(pair: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="is given twice"):
        data(*pair)


@pytest.mark.parametrize(
    ("text", "brief", "hint"),
    [
        ("registri.hub=a", "there is no registri", "did you mean 'registry'?"),
        ("registry.hubb=a", "there is no registry.hubb", "did you mean 'hub'?"),
        ("images.pilto.base=a", "there is no images.pilto", "did you mean 'pilot'?"),
        ("images.pilot.bas=a", "there is no images.pilot.bas", "did you mean 'base'?"),
        ("go.group.agnt.cgo=true", "there is no go.group.agnt", "did you mean 'agent'?"),
        ("registry.hub.x=a", "there is no registry.hub.x", "none is defined"),
        ("project.name.x.y=1", "there is no project.name.x", "none is defined"),
    ],
)
def test_an_unknown_key_has_a_near_miss(text: str, brief: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        data(text)
    assert caught.value.brief.endswith(brief)
    assert caught.value.details == hint


@pytest.mark.parametrize("text", ["", "registry", "=a", "a b=c", "registry.hub", "a.=1", "a\nb=1"])
def test_what_is_no_assignment_says_how_one_looks(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected KEY=VALUE") as caught:
        data(text)
    assert "images.pilot.base=static" in caught.value.resolution
