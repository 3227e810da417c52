from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit.intact import first_altered, forget, seal


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for name in ("main.go", "cmd/app/app.go", ".git/HEAD"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"what {name} holds")
    (home / "link").symlink_to("cmd")
    seal(home, home)
    return home


def later(path: Path) -> None:
    os.utime(path, (1, 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().swapcase())
    later(path)


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["main.go", "cmd/app/app.go", ".git/HEAD"])
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink, become_directory])
def test_a_file_that_is_not_as_it_was_is_named(
    home: Path, name: str, damage: Callable[[Path], None]
) -> None:
    assert first_altered(home) == ""
    damage(home / name)
    assert first_altered(home) == name


def test_a_link_that_leads_elsewhere_is_named(home: Path) -> None:
    (home / "link").unlink()
    (home / "link").symlink_to("CMD")
    assert first_altered(home) == "link"


def test_what_was_added_does_not_count(home: Path) -> None:
    (home / "cmd" / "new.go").write_text("new")
    assert first_altered(home) == ""


def test_other_times_are_looked_into_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(home / "main.go")
    assert first_altered(home) == ""
    monkeypatch.setattr("buildkit.intact._look", refuse)
    assert first_altered(home) == ""


def refuse(*_: object) -> None:
    raise AssertionError("it was read")


def test_a_copy_elsewhere_needs_a_seal_of_its_own(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy, symlinks=True)
    assert first_altered(copy) == "the list of its files"
    seal(copy, copy)
    forget(home)
    assert (first_altered(copy), first_altered(home)) == ("", "the list of its files")


def test_a_damaged_list_is_none(home: Path) -> None:
    (place,) = home.parent.glob(".*")
    cut(place)
    assert first_altered(home) == "the list of its files"
