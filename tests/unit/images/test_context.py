from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from buildkit.images.context import (
    DOCKERFILE_NAME,
    context_entries,
    select,
    write_context,
)
from buildkit.images.dockerfile import parse
from buildkit.images.stages import reachable, stages_of
from buildkit.oci.layer import Entry, EntryType


@pytest.fixture
def entries(tmp_path: Path) -> tuple[Entry, ...]:
    for name in ("tree/a.txt", "tree/sub/b.txt", "tree/sub/c.sh", "envoy", "agent", "notes.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o600)
    (tmp_path / "tree/sub/c.sh").chmod(0o700)
    (tmp_path / "tree/link").symlink_to("sub/b.txt")
    names = ("tree", "envoy", "agent", "notes.md")
    return context_entries(
        {name: tmp_path / name for name in names}, binaries=frozenset({"envoy", "agent"})
    )


def chosen(entries: tuple[Entry, ...], *lines: str) -> list[str]:
    dockerfile = parse("\n".join(("FROM x AS first", *lines)), origin="D")
    found = select(entries, dockerfile, reachable(stages_of(dockerfile, {})))
    return [entry.path for entry in found]


def test_modes_do_not_depend_on_the_checkout(entries: tuple[Entry, ...]) -> None:
    modes = {entry.path: entry.mode for entry in entries}
    assert modes == {
        "agent": 0o755,
        "envoy": 0o755,
        "notes.md": 0o644,
        "tree": 0o755,
        "tree/a.txt": 0o644,
        "tree/link": 0o777,
        "tree/sub": 0o755,
        "tree/sub/b.txt": 0o644,
        "tree/sub/c.sh": 0o755,
    }
    (link,) = [entry for entry in entries if entry.type is EntryType.SYMLINK]
    assert link.link == "sub/b.txt"


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("COPY envoy /", ["envoy"]),
        ("COPY ./envoy agent /bin/", ["agent", "envoy"]),
        ("COPY *.md /", ["notes.md"]),
        ("COPY /tree/*.txt /", ["tree", "tree/a.txt"]),
        ("COPY tree/[^a]* /", ["tree", "tree/link", "tree/sub", "tree/sub/b.txt", "tree/sub/c.sh"]),
        ("COPY tree/sub /", ["tree", "tree/sub", "tree/sub/b.txt", "tree/sub/c.sh"]),
        ("COPY t?ee/sub/b* /", ["tree", "tree/sub", "tree/sub/b.txt"]),
        ("ADD https://e.x/a /", []),
        ("RUN ls", []),
    ],
)
def test_only_what_is_copied_is_chosen(
    entries: tuple[Entry, ...], line: str, paths: list[str]
) -> None:
    assert chosen(entries, line) == paths


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("COPY tree/link /", ["tree", "tree/link", "tree/sub", "tree/sub/b.txt"]),
        ("COPY tree/up/notes.md /", ["notes.md", "tree", "tree/up"]),
        ("COPY tree/up/n* /", ["notes.md", "tree", "tree/up"]),
        ("COPY nothing* envoy /", ["envoy"]),
        ("COPY [!e]nvoy envoy /", ["envoy"]),
    ],
)
def test_what_a_link_leads_to_is_chosen_too(tmp_path: Path, line: str, paths: list[str]) -> None:
    for name in ("tree/sub/b.txt", "notes.md", "envoy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "tree/link").symlink_to("/tree/sub/b.txt")
    (tmp_path / "tree/up").symlink_to("..")
    names = ("tree", "notes.md", "envoy")
    assert chosen(context_entries({name: tmp_path / name for name in names}), line) == paths


def test_a_loop_of_links_is_named_where_it_is_copied(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/loop").symlink_to("loop")
    entries = context_entries({"tree": tmp_path / "tree"})
    assert chosen(entries, "COPY tree /") == ["tree", "tree/loop"]
    for line in ("COPY tree/loop /", "COPY tree/loop/x /", "COPY tree/loop/* /"):
        with pytest.raises(ConfigError, match=r"line 2: /tree/loop.* is a loop of symbolic links"):
            chosen(entries, line)


def test_a_loop_that_is_named_as_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="loop cannot be put in the build context as x"):
        context_entries({"x": tmp_path / "loop"})


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    with pytest.raises(ConfigError, match="pipe cannot be put in the build context as tree/pipe"):
        context_entries({"tree": tmp_path / "tree"})


def test_copying_everything_chooses_everything(entries: tuple[Entry, ...]) -> None:
    assert chosen(entries, "COPY . /") == [entry.path for entry in entries]


def test_what_an_unused_stage_or_an_earlier_stage_gives_is_not_chosen(
    entries: tuple[Entry, ...],
) -> None:
    lines = (
        "COPY envoy /",
        "FROM y AS second",
        "COPY agent /",
        "FROM z",
        "COPY --from=1 notes.md /",
    )
    assert chosen(entries, *lines) == ["agent"]


def test_a_missing_source_names_line_and_near_miss(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(ConfigError, match="D, line 2: envoi is not in the build context") as caught:
        chosen(entries, "COPY envoi /")
    assert caught.value.resolution == "Did you mean envoy?"
    assert "notes.md" in caught.value.brief


def test_a_source_outside_of_the_context_is_refused(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(ConfigError, match=r"line 3: \.\./x leads out of the build context"):
        chosen(entries, "USER 1", "COPY ../x /")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing cannot be put in the build context as x"):
        context_entries({"x": tmp_path / "missing"})


def test_the_dockerfile_is_hidden_from_copies(tmp_path: Path) -> None:
    write_context((), "FROM x\n", tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as archive:
        assert sorted(archive.getnames()) == [DOCKERFILE_NAME, ".dockerignore"]
        stream = archive.extractfile(".dockerignore")
        assert stream is not None
        assert stream.read().decode().split() == [DOCKERFILE_NAME, ".dockerignore"]
