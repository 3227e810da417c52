"""Checks of registries, credentials, proxies and mirrors."""

from __future__ import annotations

from buildkit.doctor.facts import DARWIN, CredentialFacts, HubFacts, MirrorFacts, ProxyFacts
from buildkit.doctor.finding import EVERY_GOAL, IMAGES, Finding, State
from buildkit.registry.probe import Presence


def check_hub(facts: HubFacts, system: str) -> Finding:
    """Does a registry answer where images go?"""
    name, hub = "registry", facts.hub
    if facts.presence is None:
        meaning = f"{hub} was not asked: {facts.unasked}"
        return Finding(check=name, state=State.NOTE, meaning=meaning)
    if facts.presence is Presence.REGISTRY:
        return Finding(check=name, state=State.OK, meaning=f"a registry answers at {hub}")
    if not facts.is_loopback:
        what = f"something else answers: {facts.words}" if facts.words else "nothing answers"
        return Finding(
            check=name,
            state=State.PROBLEM if facts.is_pushed else State.WARNING,
            meaning=f"at {hub} {what}",
            mend="see that name, network and proxy are right, or name another --hub",
            needed_by=IMAGES if facts.is_pushed else frozenset(),
        )
    if facts.presence is Presence.NOTHING:
        meaning = f"nothing answers at {hub} yet: `invoke docker` starts a registry there"
        return Finding(check=name, state=State.NOTE, meaning=meaning, mend="invoke registry.start")
    return _taken(facts, system)


def _taken(facts: HubFacts, system: str) -> Finding:
    taken = f"something else answers at {facts.hub}: {facts.words}"
    mend = (
        "System Settings, General, AirDrop & Handoff: switch AirPlay Receiver off"
        if system == DARWIN and "AirPlay" in facts.words
        else "end it, or name another: --hub localhost:5050"
    )
    if facts.is_named:
        return Finding(
            check="registry", state=State.PROBLEM, meaning=taken, mend=mend, needed_by=IMAGES
        )
    meaning = f"{taken}; a registry is started at the next free port from 5001"
    return Finding(check="registry", state=State.NOTE, meaning=meaning, mend=mend)


def check_credentials(facts: CredentialFacts) -> Finding:
    """Can the credentials of a file be read, and do its helpers exist?"""
    name = "credentials"
    if facts.error:
        return Finding(
            check=name,
            state=State.PROBLEM,
            meaning=f"{facts.path} cannot be read: {facts.error}",
            mend="repair it, or write it anew: invoke registry.login HOST",
            needed_by=IMAGES,
        )
    owner = "Podman's" if facts.is_podman else "Docker's"
    if facts.absent:
        is_needed = bool(set(facts.absent) & set(facts.needed))
        programs = ", ".join(f"docker-credential-{helper}" for helper in facts.absent)
        effect = "pushes of this project ask it" if is_needed else "its registries get no login"
        return Finding(
            check=name,
            state=State.PROBLEM if is_needed else State.WARNING,
            meaning=f"{facts.path} names {programs}, which PATH lacks; {effect}",
            mend=f"install it, or remove credsStore or credHelpers from {facts.path}",
            needed_by=IMAGES if is_needed else frozenset(),
        )
    helpers = f", helpers {', '.join(facts.helpers)}" if facts.helpers else ""
    entries = "1 login" if facts.logins == 1 else f"{facts.logins} logins"
    meaning = f"{owner} {facts.path}: {entries}{helpers}"
    return Finding(check=name, state=State.OK, meaning=meaning)


def check_auth_file(absent: str) -> Finding | None:
    """Does REGISTRY_AUTH_FILE name a file that is there?"""
    if not absent:
        return None
    return Finding(
        check="credentials",
        state=State.WARNING,
        meaning=f"REGISTRY_AUTH_FILE names {absent}, which does not exist",
        mend="unset REGISTRY_AUTH_FILE, or: podman login HOST",
    )


def check_proxy(facts: ProxyFacts) -> Finding:
    """Which proxies do requests go through?"""
    if facts.error:
        return Finding(
            check="proxy",
            state=State.PROBLEM,
            meaning=facts.error,
            mend="export HTTPS_PROXY=http://HOST:PORT",
            needed_by=EVERY_GOAL,
        )
    if not facts.hosts:
        return Finding(check="proxy", state=State.OK, meaning="none is set")
    shown = ", ".join(f"{name} {host}" for name, host in facts.hosts)
    return Finding(check="proxy", state=State.OK, meaning=shown)


def check_goproxy(facts: MirrorFacts) -> Finding | None:
    """Where do Go modules come from?"""
    if not facts.goproxy:
        return None
    if facts.goproxy[0] == "off" and not facts.is_offline:
        return Finding(
            check="GOPROXY",
            state=State.WARNING,
            meaning="off: a module that the module cache lacks fails the build",
            mend="go env -u GOPROXY; unset GOPROXY",
        )
    meaning = f"modules come from {', then '.join(facts.goproxy)}"
    return Finding(check="GOPROXY", state=State.OK, meaning=meaning)


def check_pip(facts: MirrorFacts) -> Finding:
    """Is pip's index set? Its address may hold a password, so it is not shown."""
    places = ", ".join(facts.pip)
    meaning = f"its index is set by {places}" if places else "the default index"
    return Finding(check="pip", state=State.OK, meaning=meaning)


def check_mirrors(facts: MirrorFacts) -> Finding | None:
    """Does the project read from mirrors?"""
    if not facts.mirrors:
        return None
    entries = "1 entry" if facts.mirrors == 1 else f"{facts.mirrors} entries"
    return Finding(check="mirrors", state=State.OK, meaning=f"[mirrors] has {entries}")
