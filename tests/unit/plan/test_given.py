"""Whatever a call decides is told with the flag or the variable that decides it."""

from __future__ import annotations

import pytest

from buildkit.plan.given import given_settings
from buildkit.plan.options import Options


def given(options: Options, **environ: str) -> list[str]:
    found = given_settings(options, environ)
    return [f"{name} {value.text} ({value.origin})" for name, value in found]


def test_a_call_without_flags_decides_nothing() -> None:
    assert given(Options(hub="a.com", engine="oci"), HUB="b.com", CI="false") == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(only="pilot"), ["only pilot (--only)"]),
        (Options(jobs=2), ["jobs 2 (--jobs)"]),
        (Options(jobs=1), ["jobs 1 (--jobs)"]),
        (Options(fail_fast=True), ["fail-fast yes (--fail-fast)"]),
        (Options(load=False), ["load no (--no-load)"]),
        (Options(envoy=("./a", "b:1")), ["envoy ./a (--envoy)", "envoy b:1 (--envoy)"]),
        (Options(set=("go.cgo = true", "a.b=x=y")), ["go.cgo true (--set)", "a.b x=y (--set)"]),
    ],
)
def test_a_flag_is_told_with_its_value(options: Options, told: list[str]) -> None:
    assert given(options) == told


def test_a_ci_system_stamps_unless_the_call_says_so_itself() -> None:
    assert given(Options(), CI="true") == ["stamp yes (CI in the environment)"]
    assert given(Options(stamp=True), CI="true") == ["stamp yes (--stamp)"]
