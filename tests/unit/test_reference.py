from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.digest import Digest
from buildkit.errors import ConfigError
from buildkit.reference import (
    Reference,
    check_tag,
    hub_reference,
    is_loopback,
    is_prefix,
    mirrored,
    split_hub,
)

DIGEST = Digest.of_bytes(b"image")

hosts = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\.[a-z]{2,5}(:[0-9]{1,5})?", fullmatch=True
)
components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
repositories = st.lists(components, min_size=1, max_size=3).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
references = st.builds(
    lambda registry, repository, tag, digest: Reference(
        registry=registry, repository=repository, tag=tag, digest=digest
    ),
    hosts,
    repositories,
    st.just("") | tags,
    st.none() | st.binary().map(Digest.of_bytes),
)


@given(references)
def test_a_reference_reads_back_what_it_prints(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(st.text())
def test_any_text_is_a_reference_or_a_config_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except ConfigError:
        return
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("pilot", "docker.io", "library/pilot", ""),
        ("istio/pilot:1.14", "docker.io", "istio/pilot", "1.14"),
        ("localhost/pilot", "localhost", "pilot", ""),
        ("localhost:5000/pilot:latest", "localhost:5000", "pilot", "latest"),
        ("[::1]:5000/pilot:latest", "[::1]:5000", "pilot", "latest"),
        ("ghcr.io/a/b__c/d--e:v1", "ghcr.io", "a/b__c/d--e", "v1"),
        ("host:5000/a", "host:5000", "a", ""),
    ],
)
def test_defaults_are_docker_s(text: str, registry: str, repository: str, tag: str) -> None:
    reference = Reference.parse(text)
    assert (reference.registry, reference.repository, reference.tag) == (registry, repository, tag)
    assert reference.digest is None
    assert reference.name == f"{registry}/{repository}"


def test_a_reference_can_have_a_tag_and_a_digest() -> None:
    reference = Reference.parse(f"localhost:5000/pilot:latest@{DIGEST}")
    assert (reference.tag, reference.digest) == ("latest", DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:5000/Pilot",
        "localhost:5000/",
        "localhost:5000/pilot:",
        "localhost:5000/pilot:-x",
        "localhost:5000/pilot@",
        f"localhost:5000/pilot:@{DIGEST}",
        "localhost:5000/pilot@sha256:abc",
        "localhost:5000/a//b",
        "localhost:5000/a__-b",
        "https://localhost:5000/pilot",
        "local host:5000/pilot",
        "localhost:123456/pilot",
        "user@localhost:5000/pilot",
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/istio/pilot:1", "istio/pilot:1"),
        ("busybox:1", "busybox:1"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("localhost:5000/library/pilot:1", "localhost:5000/library/pilot:1"),
    ],
)
def test_a_daemon_lists_the_names_of_docker_hub_without_their_host(
    text: str, familiar: str
) -> None:
    assert Reference.parse(text).familiar == familiar


def test_a_tag_and_a_digest_replace_each_other() -> None:
    reference = Reference.parse("localhost:5000/pilot:latest")
    by_digest = reference.with_digest(DIGEST)
    assert str(by_digest) == f"localhost:5000/pilot@{DIGEST}"
    assert by_digest.with_tag("v2") == Reference.parse("localhost:5000/pilot:v2")
    with pytest.raises(ConfigError, match="not a valid tag"):
        reference.with_tag("a b")


@given(tags)
def test_a_valid_tag_is_returned_as_it_is(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", [".a", "-a", "a/b", "a:b", "ä", "a\n", "x" * 129])
def test_a_tag_that_registries_refuse_is_refused_here(tag: str) -> None:
    with pytest.raises(ConfigError, match="not a valid tag"):
        check_tag(tag)


def test_an_empty_tag_or_hub_says_which_knob_to_turn() -> None:
    with pytest.raises(ConfigError, match="the tag is empty") as no_tag:
        check_tag("")
    assert "--tag" in no_tag.value.resolution
    with pytest.raises(ConfigError, match="the hub is empty") as no_hub:
        split_hub(" ")
    assert "--hub" in no_hub.value.resolution


@pytest.mark.parametrize(
    ("registry", "loopback"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("registry.localhost:80", True),
        ("127.0.0.1:5000", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("[::1]:5000", True),
        ("10.0.0.1:5000", False),
        ("docker.io", False),
        ("localhost.example.com", False),
        ("[2001:db8::1]:5000", False),
    ],
)
def test_loopback_is_told_by_name_and_address(registry: str, *, loopback: bool) -> None:
    assert is_loopback(registry) is loopback


@pytest.mark.parametrize(
    ("hub", "registry", "prefix"),
    [
        ("localhost:5000", "localhost:5000", ""),
        ("localhost:5000/", "localhost:5000", ""),
        ("localhost:5000/team/a", "localhost:5000", "team/a"),
        ("ghcr.io/image", "ghcr.io", "image"),
        ("istio", "docker.io", "istio"),
    ],
)
def test_a_hub_is_a_registry_and_a_prefix(hub: str, registry: str, prefix: str) -> None:
    assert split_hub(hub) == (registry, prefix)
    path = f"{prefix}/pilot" if prefix else "pilot"
    assert str(hub_reference(hub, "pilot", "v1")) == f"{registry}/{path}:v1"


@pytest.mark.parametrize("hub", ["localhost:5000/Team", "ghcr.io//a", "http://localhost:5000"])
def test_a_hub_that_is_no_start_of_a_reference_is_refused(hub: str) -> None:
    with pytest.raises(ConfigError):
        split_hub(hub)


MIRRORS = {
    "docker.io": "mirror.test/dockerhub",
    "docker.io/library": "mirror.test:8443/official/",
    "gcr.io/istio-release": "mirror.test/istio",
    "https://docker.io": "https://files.test",
    "ghcr.io/team/app": "mirror.test/one",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker.io/istio/pilot:1.2", "mirror.test/dockerhub/istio/pilot:1.2"),
        ("alpine:3", "mirror.test:8443/official/alpine:3"),
        ("istio/pilot", "mirror.test/dockerhub/istio/pilot"),
        (f"alpine:3@sha256:{'a' * 64}", f"mirror.test:8443/official/alpine:3@sha256:{'a' * 64}"),
        ("gcr.io/istio-release/base:x", "mirror.test/istio/base:x"),
        ("gcr.io/istio-released/base:x", "gcr.io/istio-released/base:x"),
        ("gcr.io/other/base:x", "gcr.io/other/base:x"),
        ("ghcr.io/team/app:1", "mirror.test/one:1"),
        ("docker.io.evil.test/x:1", "docker.io.evil.test/x:1"),
    ],
)
def test_the_longest_start_of_whole_components_is_mirrored(text: str, expected: str) -> None:
    assert str(mirrored(Reference.parse(text), MIRRORS)) == expected


@pytest.mark.parametrize("text", ["docker.io", "localhost:5000", "gcr.io/istio-release"])
def test_a_registry_or_the_start_of_names_can_be_mirrored(text: str) -> None:
    assert is_prefix(text)


@pytest.mark.parametrize("text", ["", "library", "team/app", "gcr.io/", "a.test/App", "https://a"])
def test_what_is_no_start_of_names_cannot_be_mirrored(text: str) -> None:
    assert not is_prefix(text)


def test_a_hub_that_is_a_url_is_told_what_to_write() -> None:
    with pytest.raises(ConfigError, match="begins like a URL") as caught:
        split_hub("http://localhost:5000/team")
    assert caught.value.resolution.startswith("Write localhost:5000/team. ")
