"""Registries, credentials, proxies and mirrors: one test for each outcome."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from buildkit.doctor.checks.network import (
    check_auth_file,
    check_credentials,
    check_goproxy,
    check_hub,
    check_mirrors,
    check_pip,
    check_proxy,
)
from buildkit.doctor.facts import DARWIN, CredentialFacts, HubFacts, MirrorFacts, ProxyFacts
from buildkit.doctor.finding import EVERY_GOAL, IMAGES, State
from buildkit.registry.probe import Presence

LOCAL = HubFacts(hub="localhost:5000")
BEYOND = HubFacts(hub="r.example.com/team", is_loopback=False)
AIRPLAY = "HTTP status 403 from 'AirTunes/770' (AirPlay of macOS)"
FILE = CredentialFacts(path="/h/.docker/config.json", logins=2)


def test_a_registry_answers() -> None:
    for hub in (LOCAL, BEYOND):
        found = check_hub(hub, "linux")
        assert (found.state, found.meaning) == (State.OK, f"a registry answers at {hub.hub}")


def test_a_hub_that_was_not_asked() -> None:
    found = check_hub(replace(BEYOND, presence=None, unasked="--offline is given"), "linux")
    assert found.state is State.NOTE
    assert found.meaning == "r.example.com/team was not asked: --offline is given"


def test_a_local_registry_that_is_yet_to_be_started() -> None:
    found = check_hub(replace(LOCAL, presence=Presence.NOTHING), "linux")
    assert (found.state, found.mend) == (State.NOTE, "invoke registry.start")


@pytest.mark.parametrize(
    ("presence", "words", "what"),
    [
        (Presence.NOTHING, "", "nothing answers"),
        (Presence.OTHER, "HTTP status 200", "something else answers: HTTP status 200"),
    ],
)
def test_a_hub_beyond_where_no_registry_is(presence: Presence, words: str, what: str) -> None:
    pushed = check_hub(replace(BEYOND, presence=presence, words=words), "linux")
    assert (pushed.state, pushed.needed_by) == (State.PROBLEM, IMAGES)
    assert pushed.meaning == f"at r.example.com/team {what}"
    kept = replace(BEYOND, presence=presence, words=words, is_pushed=False)
    found = check_hub(kept, "linux")
    assert (found.state, found.needed_by) == (State.WARNING, frozenset())


def test_airplay_at_the_default_port_is_evaded() -> None:
    found = check_hub(replace(LOCAL, presence=Presence.OTHER, words=AIRPLAY), DARWIN)
    assert found.state is State.NOTE
    assert "next free port from 5001" in found.meaning
    assert found.mend.endswith("switch AirPlay Receiver off")


def test_a_port_that_was_named_and_is_taken_stops_images() -> None:
    taken = replace(LOCAL, presence=Presence.OTHER, words="HTTP status 404", is_named=True)
    for system in ("linux", DARWIN):
        found = check_hub(taken, system)
        assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)
        assert found.mend.endswith("--hub localhost:5050")


def test_credentials_that_can_be_read() -> None:
    found = check_credentials(FILE)
    assert (found.state, found.meaning) == (
        State.OK,
        "Docker's /h/.docker/config.json: 2 logins",
    )
    podman = CredentialFacts(path="/r/auth.json", is_podman=True, logins=1, helpers=("pass",))
    assert check_credentials(podman).meaning == "Podman's /r/auth.json: 1 login, helpers pass"


def test_credentials_that_cannot_be_read_stop_images() -> None:
    found = check_credentials(replace(FILE, error="JSON is malformed"))
    assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)
    assert found.meaning.endswith("cannot be read: JSON is malformed")


def test_a_helper_that_is_missing() -> None:
    facts = replace(FILE, helpers=("gcloud", "pass"), absent=("gcloud",))
    other = check_credentials(replace(facts, needed=("pass",)))
    assert (other.state, other.needed_by) == (State.WARNING, frozenset())
    assert "docker-credential-gcloud, which PATH lacks" in other.meaning
    needed = check_credentials(replace(facts, needed=("gcloud",)))
    assert (needed.state, needed.needed_by) == (State.PROBLEM, IMAGES)


def test_an_auth_file_that_does_not_exist() -> None:
    found = check_auth_file("/gone.json")
    assert found is not None
    assert found.state is State.WARNING
    assert found.meaning == "REGISTRY_AUTH_FILE names /gone.json, which does not exist"
    assert check_auth_file("") is None


def test_proxies() -> None:
    assert check_proxy(ProxyFacts()).meaning == "none is set"
    both = ProxyFacts(hosts=(("http_proxy", "p:1"), ("https_proxy", "p:2")))
    found = check_proxy(both)
    assert (found.state, found.meaning) == (State.OK, "http_proxy p:1, https_proxy p:2")


def test_a_proxy_that_cannot_be_used_stops_everything() -> None:
    found = check_proxy(ProxyFacts(error="the proxy h:1 is not an HTTP proxy"))
    assert (found.state, found.needed_by) == (State.PROBLEM, EVERY_GOAL)


def test_where_modules_come_from() -> None:
    found = check_goproxy(MirrorFacts(goproxy=("go.example.com", "direct")))
    assert found is not None
    assert (found.state, found.meaning) == (
        State.OK,
        "modules come from go.example.com, then direct",
    )
    assert check_goproxy(MirrorFacts()) is None


def test_no_modules_at_all() -> None:
    off = check_goproxy(MirrorFacts(goproxy=("off",)))
    assert off is not None
    assert off.state is State.WARNING
    meant = check_goproxy(MirrorFacts(goproxy=("off",), is_offline=True))
    assert meant is not None
    assert meant.state is State.OK


def test_the_index_of_pip_is_not_shown() -> None:
    assert check_pip(MirrorFacts()).meaning == "the default index"
    found = check_pip(MirrorFacts(pip=("PIP_INDEX_URL", "/etc/pip.conf")))
    assert found.meaning == "its index is set by PIP_INDEX_URL, /etc/pip.conf"


@pytest.mark.parametrize(("count", "words"), [(1, "1 entry"), (2, "2 entries")])
def test_mirrors_are_counted(count: int, words: str) -> None:
    found = check_mirrors(MirrorFacts(mirrors=count))
    assert found is not None
    assert (found.state, found.meaning) == (State.OK, f"[mirrors] has {words}")
    assert check_mirrors(MirrorFacts()) is None
