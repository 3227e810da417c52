"""What runs on hosted machines is pinned, may do little, and asks for tasks that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from invoke.parser import Parser

from tasks import namespace

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
WORKFLOWS: dict[str, dict[Any, Any]] = {
    name: msgspec.yaml.decode(text.encode()) for name, text in TEXTS.items()
}
JOBS = {
    f"{name}:{job}": {"permissions": workflow.get("permissions"), **value}
    for name, workflow in WORKFLOWS.items()
    for job, value in workflow["jobs"].items()
}
READS: dict[str, str] = {"contents": "read"}
WRITES = {"release.yml:publish": {"contents": "write", "packages": "write"}}


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job["steps"]
    return found


def test_there_are_workflows() -> None:
    assert set(WORKFLOWS) == {"ci.yml", "release.yml"}
    assert set(WRITES) <= set(JOBS)


@pytest.mark.parametrize("name", TEXTS)
def test_an_action_is_named_by_its_commit_and_says_which_version_that_is(name: str) -> None:
    lines = [line for line in TEXTS[name].splitlines() if re.search(r"^[ -]*uses:(?! \*)", line)]
    pinned = re.compile(r"uses: (&\w+ )?actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
    assert [line for line in lines if not pinned.search(line)] == []


def test_an_action_has_one_commit_everywhere() -> None:
    named = {step["uses"] for job in JOBS.values() for step in steps(job) if "uses" in step}
    assert {name.partition("@")[0] for name in named} == {
        "actions/cache",
        "actions/download-artifact",
        "actions/upload-artifact",
    }
    assert len(named) == 3


@pytest.mark.parametrize("name", JOBS)
def test_a_job_may_read_and_the_one_that_publishes_write(name: str) -> None:
    assert JOBS[name]["permissions"] == WRITES.get(name, READS)


@pytest.mark.parametrize("name", WRITES)
def test_who_may_write_waits_for_its_environment_and_a_tag(name: str) -> None:
    assert JOBS[name]["environment"] == "release"
    assert JOBS[name]["if"] == "startsWith(github.ref, 'refs/tags/v')"


@pytest.mark.parametrize("name", JOBS)
def test_secrets_are_for_the_protected_environment(name: str) -> None:
    if "environment" not in JOBS[name]:
        assert "secrets." not in repr(JOBS[name])


@pytest.mark.parametrize("name", JOBS)
def test_no_script_holds_what_others_write(name: str) -> None:
    scripts = [step["run"] for step in steps(JOBS[name]) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_by_itself(name: str) -> None:
    assert 0 < JOBS[name]["timeout-minutes"] <= 60


def test_caches_are_keyed_by_the_plan() -> None:
    (cache,) = [
        step for step in steps(JOBS["release.yml:part"]) if "cache@" in step.get("uses", "")
    ]
    assert cache["with"]["key"] == "${{ matrix.cache_key }}"
    assert JOBS["release.yml:part"]["strategy"]["matrix"] == (
        "${{ fromJSON(needs.plan.outputs.matrix) }}"
    )


def commands(text: str) -> list[str]:
    """Return the words after ``./inv`` of every command, its lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [found.strip() for found in re.findall(r"\./inv ([^\n|;]*)", joined)]


PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "ci").glob("*")}


COMMANDS = {item for text in (*TEXTS.values(), *PAGES.values()) for item in commands(text)}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_can_be_typed(command: str) -> None:
    text = command.replace(' "$@"', "").partition(" >")[0]
    text = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", text)
    text = re.sub(r'"\$\(.*?\)"|\$\{?\w+\}?', "word", text)
    words = shlex.split(text)
    if words == ["--list"]:
        return
    calls = Parser(contexts=namespace.to_contexts()).parse_argv(words)
    assert calls[0].name == words[0]


def test_every_file_of_another_system_is_in_its_table() -> None:
    assert [
        name for name in PAGES if name != "README.md" and f"]({name})" not in PAGES["README.md"]
    ] == []


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith((".yml", ".yaml"))])
def test_what_is_for_another_system_is_yaml(name: str) -> None:
    assert msgspec.yaml.decode(PAGES[name].encode())
