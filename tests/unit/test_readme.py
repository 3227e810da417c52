"""What the README says can be typed and copied."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke.parser import Parser
from invoke.tasks import Task

from buildkit.config.load import load_project
from buildkit.tasks import make_namespace

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return the words after ``./inv`` of every command line in the README."""
    lines = re.findall(r"\./inv ([^\n`|#]*)", README)
    return sorted({re.split(r"&&|;", line)[0].strip() for line in lines})


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_there_are_commands() -> None:
    assert "build docker" in commands()
    assert len(commands()) > 20


@pytest.mark.parametrize("command", commands())
def test_every_command_can_be_typed(command: str) -> None:
    namespace = make_namespace()

    def test(_context: object, only: str = "", all: bool = False) -> None: ...  # noqa: A002

    namespace.add_task(Task(test, name="test"))
    words = shlex.split(command)
    if words[0] in {"--help", "--list"}:
        words = words[1:]
    calls = Parser(contexts=namespace.to_contexts()).parse_argv(words)
    names = {str(context.name) for context in namespace.to_contexts()}
    assert [str(call.name) for call in calls] == [word for word in words if word in names]


def test_the_configuration_to_copy_is_right(tmp_path: Path) -> None:
    # One is a whole file, the others are tables that can be added to it.
    text = "\n".join(sorted(blocks("toml"), key=lambda block: "schema_version" not in block))
    (tmp_path / "istio").mkdir()
    (tmp_path / "mine" / "images" / "pilot").mkdir(parents=True)
    (tmp_path / "mine" / "images" / "pilot" / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    (tmp_path / "mine" / "targets.toml").write_text(text)
    project = load_project(tmp_path / "mine" / "targets.toml")
    assert set(project.config.binaries) == {"pilot-discovery", "pilot-agent"}
    assert project.source == tmp_path / "istio"
    assert len(project.config.mirrors) == 3


def test_every_task_is_in_the_table() -> None:
    named = set(re.findall(r"^\| (`[^|]*) \|", README, re.MULTILINE))
    words = set(re.findall(r"[a-z.]+", " ".join(named)))
    for context in make_namespace().to_contexts():
        name = str(context.name)
        assert name in words or f".{name.rpartition('.')[2]}" in words, name
