"""The module that is compiled has the size and the shape that it is said to have."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.gomodule import BINARIES, FILES, GROUPS, MODULE, PACKAGES, GoModule


def content(packages: int = PACKAGES, files: int = FILES) -> dict[str, str]:
    return dict(GoModule(folder=Path("none"), packages=packages, files=files).content())


def packages_of(files: dict[str, str]) -> set[str]:
    return {str(Path(name).parent) for name in files if name.endswith(".go")}


def test_it_is_as_large_as_a_mesh() -> None:
    files = content()
    assert 325 <= len(packages_of(files)) <= 335
    assert 2400 <= sum(name.endswith(".go") for name in files) <= 2600


def test_every_import_is_there_and_the_graph_has_no_cycle() -> None:
    files = content(packages=40, files=200)
    found = packages_of(files)
    for name, text in files.items():
        for path in re.findall(rf'"{re.escape(MODULE)}/([^"]+)"', text):
            assert path in found
            if name.startswith("pkg/p"):
                assert path < str(Path(name).parent)


def test_every_package_is_part_of_a_binary() -> None:
    files = content(packages=40, files=200)
    reached: set[str] = set()
    open_ = [f"cmd/{name}" for name in BINARIES]
    while open_:
        package = open_.pop()
        if package in reached:
            continue
        reached.add(package)
        for name, text in files.items():
            if str(Path(name).parent) == package:
                open_ += re.findall(rf'"{re.escape(MODULE)}/([^"]+)"', text)
    assert reached == packages_of(files)


def test_a_package_has_a_mode_for_the_tags_of_every_group() -> None:
    files = content(packages=40, files=200)
    tagged = {name: text for name, text in files.items() if text.startswith("//go:build ")}
    assert tagged
    for tags in GROUPS.values():
        chosen = [text for text in tagged.values() if text.split()[1] in tags]
        assert len(chosen) == len(tagged) // 2


def test_a_smaller_one_still_has_a_package_for_each_binary() -> None:
    small = GoModule(folder=Path("none")).divided(1000)
    assert small.packages == len(BINARIES)
    assert GoModule(folder=Path("none")).divided(10).files == 250
    assert GoModule(folder=Path("none")).divided(1) == GoModule(folder=Path("none"))


def test_an_edit_changes_one_file_and_each_turn_another_time(tmp_path: Path) -> None:
    module = GoModule(folder=tmp_path, packages=8, files=16)
    for name, text in module.content():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = []
    for turn in (1, 2):
        module.edit(turn)
        changed = [n for n, text in module.content() if (tmp_path / n).read_text() != text]
        assert changed == ["cmd/ctl/leaf/leaf.go"]
        seen.append((tmp_path / changed[0]).read_text())
    assert seen[0] != seen[1]
