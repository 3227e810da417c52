"""What the README and the pages beside it say can be typed and copied."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke.parser import Parser

from buildkit.config.load import load_project
from tasks import namespace

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}


def commands() -> list[str]:
    """Return the words after ``./inv`` of every command line."""
    lines = re.findall(r"\./inv ([^\n`|#]*)", "\n".join((README, *PAGES.values())))
    return sorted({re.split(r"&&|;", line)[0].strip() for line in lines})


def blocks(text: str) -> list[str]:
    """Return the configurations in a page."""
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_there_are_commands() -> None:
    assert "build docker" in commands()
    assert len(commands()) > 20


@pytest.mark.parametrize("command", commands())
def test_every_command_can_be_typed(command: str) -> None:
    words = shlex.split(command)
    if words[0] in {"--help", "--list"}:
        words = words[1:]
    calls = Parser(contexts=namespace.to_contexts()).parse_argv(words)
    names = {str(context.name) for context in namespace.to_contexts()}
    assert [str(call.name) for call in calls] == [word for word in words if word in names]


def written(folder: Path, page: str = "") -> Path:
    """Write the README's configuration, and what a page adds to it."""
    parts = [*blocks(README), *(b for b in blocks(page) if not b.startswith("extends"))]
    tree = folder.parent / "istio"
    tree.mkdir()
    names = re.findall(r'"\$\{source\}/(\w[^"]*)"', "\n".join(parts))
    # What is named by itself may hold what is named below it.
    for path in (tree / name for name in sorted(names, reverse=True)):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text("FROM scratch\n")
    (tree / "Makefile.core.mk").write_text("BASE_VERSION ?= 1.30\n")
    (folder / "images" / "pilot").mkdir(parents=True)
    (folder / "images" / "pilot" / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    (folder / "targets.toml").write_text("\n".join(parts))
    return folder / "targets.toml"


FORKS = [
    block
    for name, page in PAGES.items()
    for block in blocks(page)
    if block.startswith("extends") and name != "sources.md"
]


def test_there_are_forks_to_copy() -> None:
    assert len(FORKS) > 1


@pytest.mark.parametrize("text", FORKS)
def test_a_fork_to_copy_is_right(tmp_path: Path, text: str) -> None:
    written(tmp_path / "meshwright")
    (tmp_path / "fork").mkdir()
    (tmp_path / "fork" / "targets.toml").write_text(text)
    deps = '[{"name": "PROXY_REPO_SHA", "lastStableSHA": "9a3f"}]'
    (tmp_path / "fork" / "istio.deps").write_text(deps)
    project = load_project(tmp_path / "fork" / "targets.toml")
    assert project.source == tmp_path / "fork"
    assert project.config.fetch["envoy"].number == "9a3f"
    pilot = project.config.images["pilot"]
    assert pilot.template == "../meshwright/images/pilot/Dockerfile.j2"


def test_the_source_to_copy_is_right(tmp_path: Path) -> None:
    written(tmp_path / "meshwright")
    (text,) = blocks(PAGES["sources.md"])
    (tmp_path / "fork").mkdir()
    (tmp_path / "fork" / "targets.toml").write_text(text)
    project = load_project(tmp_path / "fork" / "targets.toml", obtain=lambda *_: tmp_path)
    assert project.fetched is not None
    assert project.fetched.ref == "1.28.0"


def test_the_configuration_to_copy_is_right(tmp_path: Path) -> None:
    project = load_project(written(tmp_path / "mine"))
    assert set(project.config.binaries) == {"pilot-discovery", "pilot-agent"}
    assert project.source == tmp_path / "istio"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_what_a_page_adds_to_it_is_right(tmp_path: Path, page: str) -> None:
    load_project(written(tmp_path / "mine", PAGES[page]))


def test_every_page_is_in_the_readme() -> None:
    assert [name for name in PAGES if f"](docs/{name})" not in README] == []


def test_every_task_is_in_the_table() -> None:
    named = set(re.findall(r"^\| (`[^|]*) \|", README, re.MULTILINE))
    words = set(re.findall(r"[a-z.]+", " ".join(named)))
    for context in namespace.to_contexts():
        name = str(context.name)
        assert name in words or f".{name.rpartition('.')[2]}" in words, name
