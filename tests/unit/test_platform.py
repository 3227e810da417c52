from __future__ import annotations

import platform as host_platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import ConfigError
from buildkit.platform import GO_PLATFORMS, Platform

pairs = st.sampled_from(sorted(GO_PLATFORMS))
platforms = st.builds(
    lambda pair, variant: Platform.parse(f"{pair}/{variant}" if variant else pair),
    pairs,
    st.sampled_from(["", "v6", "v7", "v8"]),
)


@given(platforms)
def test_a_platform_reads_back_what_it_prints(platform: Platform) -> None:
    assert Platform.parse(str(platform)) == platform


@given(platforms, platforms)
def test_two_platforms_never_share_a_folder(one: Platform, other: Platform) -> None:
    assert (one.slug == other.slug) == (one == other)
    assert "/" not in one.slug


def test_the_parts_are_goos_goarch_and_variant() -> None:
    platform = Platform.parse(" linux/arm/v7 ")
    assert (platform.os, platform.arch, platform.variant) == ("linux", "arm", "v7")
    assert platform.slug == "linux_arm_v7"
    assert platform.go_env() == {"GOOS": "linux", "GOARCH": "arm", "GOARM": "7"}


def test_only_32_bit_arm_has_goarm() -> None:
    assert Platform.parse("linux/arm64/v8").go_env() == {"GOOS": "linux", "GOARCH": "arm64"}
    assert Platform.parse("linux/arm").go_env() == {"GOOS": "linux", "GOARCH": "arm"}


def test_only_windows_programs_have_a_suffix() -> None:
    suffixes = {pair: Platform.parse(pair).executable_suffix for pair in GO_PLATFORMS}
    assert {pair for pair, suffix in suffixes.items() if suffix} == {
        pair for pair in GO_PLATFORMS if pair.startswith("windows/")
    }
    assert suffixes["windows/amd64"] == ".exe"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux/x86_64",
        "macos/arm64",
        "linux/arm/v7/x",
        "Linux/amd64",
    ],
)
def test_what_go_does_not_know_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="unknown platform") as caught:
        Platform.parse(text)
    assert f"'{text}'" in caught.value.brief
    assert "linux/arm64" in caught.value.resolution


@given(st.text())
def test_any_text_is_a_platform_or_a_config_error(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except ConfigError:
        return
    assert f"{platform.os}/{platform.arch}" in GO_PLATFORMS


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "linux/amd64"),
        ("linux", "aarch64", "linux/arm64"),
        ("darwin", "arm64", "darwin/arm64"),
        ("darwin", "x86_64", "darwin/amd64"),
        ("win32", "AMD64", "windows/amd64"),
        ("linux", "riscv64", "linux/riscv64"),
        ("linux", "armv7l", "linux/arm"),
    ],
)
def test_the_host_has_the_name_go_gives_it(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(host_platform, "machine", lambda: machine)
    assert str(Platform.host()) == expected


def test_platforms_sort_by_system_then_architecture() -> None:
    texts = ["linux/arm64", "darwin/arm64", "linux/amd64", "darwin/amd64"]
    assert [str(platform) for platform in sorted(map(Platform.parse, texts))] == [
        "darwin/amd64",
        "darwin/arm64",
        "linux/amd64",
        "linux/arm64",
    ]
