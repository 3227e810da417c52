from __future__ import annotations

from pathlib import Path

from buildkit.adopt.scripts import read_scripts, told_tags


def test_scripts_are_read_from_the_root_and_from_where_builds_are(tmp_path: Path) -> None:
    names = ("Makefile", "mk/build.mk", "hack/sub/release.sh", "bin/build-cli", ".goreleaser.yaml")
    others = ("pkg/Makefile", "bin/tool.py", "README.md")
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "bin" / "program").write_bytes(b"\0" * 500_000)
    assert read_scripts(tmp_path) == {name: name for name in names}


def test_tags_are_told_once_with_the_script_that_gives_them() -> None:
    scripts = {
        "a.sh": "CGO_ENABLED=0 go build -o x \\\n  -tags prod,fast ./cli\n",
        "b.mk": "\tgo build -tags=prod,fast ./y\n\tgo build -tags $(TAGS) .\n\tgo test -tags z\n",
    }
    assert told_tags(scripts) == (
        "a.sh compiles with -tags prod,fast: write it into [go] tags if binaries need it",
    )
