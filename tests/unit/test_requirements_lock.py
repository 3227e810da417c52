from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>.+?))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64")]


def read_lock() -> list[tuple[str, Version, Marker | None]]:
    """Return name, version and marker of each pin; every pin has a hash, or this fails."""
    pins = []
    text = "\n".join(line for line in LOCK.splitlines() if not line.lstrip().startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        head, *hashes = line.split("--hash=")
        if not hashes:
            assert line.strip() in {"", "--only-binary :all:"}
            continue
        match = PIN.fullmatch(head.strip())
        assert match, head
        assert all(HASH.fullmatch(f"--hash={value.strip()}") for value in hashes)
        marker = match["marker"]
        pins.append((match["name"], Version(match["version"]), Marker(marker) if marker else None))
    return pins


def environment(system: str, machine: str, python: str) -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()} | {
        "sys_platform": system,
        "platform_machine": machine,
        "platform_system": system.capitalize(),
        "os_name": "posix",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }


def wanted() -> list[Requirement]:
    groups = (
        PYPROJECT["project"]["dependencies"],
        PYPROJECT["dependency-groups"]["dev"],
        PYPROJECT["build-system"]["requires"],
    )
    return [Requirement(text) for group in groups for text in group]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(("system", "machine"), MACHINES)
def test_everything_that_pyproject_names_is_pinned_once_within_its_bounds(
    system: str, machine: str, python: str
) -> None:
    here = environment(system, machine, python)
    pins = [
        (name, version)
        for name, version, marker in read_lock()
        if marker is None or marker.evaluate(here)
    ]
    assert len(pins) == len({name for name, _ in pins})
    versions = dict(pins)
    for requirement in wanted():
        if requirement.marker is None or requirement.marker.evaluate(here):
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_build_backend_and_pip_are_pinned_for_an_installation_without_isolation() -> None:
    assert {"flit-core", "pip"} <= {name for name, _, _ in read_lock()}


def test_only_wheels_are_taken_and_no_address_is_named() -> None:
    assert "--only-binary :all:" in LOCK.splitlines()
    assert "://" not in LOCK
    assert not re.search(r"^\s*-(i|f|-index|-extra|-find|-trusted)", LOCK, re.MULTILINE)


def test_the_head_is_the_command_that_writes_it() -> None:
    head = LOCK.splitlines()[:2]
    assert head[1].startswith("#    uv pip compile --universal")
    for flag in ("--generate-hashes", "--no-emit-index-url", "--group dev"):
        assert flag in head[1]
    # A file made on someone's machine must not carry a path of it.
    assert head[1].endswith("-o requirements.lock pyproject.toml requirements.in")
