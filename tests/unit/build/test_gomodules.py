"""Which directories go.mod and go.work name as modules."""

from __future__ import annotations

from pathlib import Path

from buildkit.build.gomodules import local_modules, named_directories

MODULE = """\
module example.com/tiny // use ./comment

require example.com/dep v0.0.0

replace example.com/dep => ../dep
replace (
	example.com/one v1.0.0 => "./with quotes" // why
	example.com/other => example.com/fork v1.2.3

	example.com/two => /srv/two
)
"""
WORKSPACE = """\
go 1.24

use ./src
use (
	./w // a tool
	`deeper/x`
)
"""


def test_uses_and_replacements_by_directories_are_named() -> None:
    assert list(named_directories(WORKSPACE)) == ["./src", "./w", "deeper/x"]
    text = MODULE.replace("with quotes", "quoted")
    assert list(named_directories(text)) == ["../dep", "./quoted", "/srv/two"]


def test_a_workspace_adds_the_replacements_of_all_its_modules(tmp_path: Path) -> None:
    for name, text in (("go.work", WORKSPACE), ("src/go.mod", "replace a => ../a\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "go.mod").write_text("replace b => ./b\n")
    source = str(tmp_path / "src")
    assert local_modules(source, "../go.work") == {".", "../w", "../deeper/x", "../a", "../w/b"}
    assert local_modules(source, "") == {"../a"}
    assert local_modules(str(tmp_path / "deeper"), "") == set()
