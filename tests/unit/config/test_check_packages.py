"""Every mistake in a package with its place, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.load import load_project
from buildkit.config.model import Config
from tests.unit.config.mistakes import changed, complaints
from tests.unit.config.parsing import parse_config

GOOD = """\
schema_version = 1
[project]
name = "mesh"
[matrix]
platforms = ["linux/amd64", "linux/arm64", "darwin/arm64"]
[binaries.agent]
package = "./agent"
[binaries.plugin]
package = "./plugin"
platforms = ["linux/amd64"]
[bases.static]
kind = "static"
[packages.sidecar]
description = "It is ${version}"
maintainer = "Somebody <some@example.com>"
binaries = { agent = "/usr/bin/agent" }
files = { "/usr/share/doc/sidecar/copyright" = "notice" }
config = { "/etc/sidecar.env" = "sidecar.env" }
directories = ["/var/lib/sidecar"]
links = { "/var/lib/sidecar/env" = "/etc/sidecar.env" }
scripts = { postinstall = "postinst" }
[packages.sidecar.deb]
depends = ["libc6"]
files = { "/usr/share/lintian/overrides/sidecar" = "notice" }
[images.pilot]
base = ["static"]
packages = ["sidecar.deb"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images" / "pilot").mkdir(parents=True)
    (tmp_path / "images" / "pilot" / "Dockerfile.j2").write_text("FROM base\n")
    for name in ("notice", "sidecar.env", "postinst"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_right_package_becomes_frozen_types(root: Path) -> None:
    config = parse_config(GOOD, "targets.toml", root)
    assert isinstance(config, Config)
    assert config.packages["sidecar"].formats == ("deb", "rpm")
    assert config.packages["sidecar"].deb.depends == ("libc6",)
    assert config.images["pilot"].packages == ("sidecar.deb",)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("[packages.sidecar]\n", "[packages.Sidecar]\n", "'Sidecar' is not valid here"),
        ("[binaries.plugin]", "[binaries.sidecar]", "an image or a binary has the same name"),
        ("${version}", "${versoin}", "did you mean 'version'?"),
        ("It is ${version}", "for $5", "packages.sidecar.description: a lone '$'"),
        ("It is ${version}", " ", "packages.sidecar.description: it is empty"),
        ("Somebody <some@example.com>", "me", "'me' is no name with an address"),
        ("{ agent = ", "{ agnet = ", "unknown binary 'agnet'; did you mean 'agent'?"),
        ("{ agent = ", "{ plugin = ", "'plugin' is not built for linux/arm64"),
        ('"/usr/bin/agent"', '"bin/agent"', "'bin/agent' is no absolute path"),
        ('"/usr/bin/agent"', '"/usr/../agent"', "'/usr/../agent' is no absolute path"),
        ('"/var/lib/sidecar"]', '"/etc/sidecar.env"]', "'/etc/sidecar.env' stands in config too"),
        ('= "sidecar.env"', '= "sidecar.ini"', "'sidecar.ini' does not exist"),
        ('= "postinst"', '= "preinst"', "scripts.postinstall: 'preinst' does not exist"),
        ('overrides/sidecar" = "notice"', 'overrides/sidecar" = "x"', "deb.files: 'x' does not"),
        ('["sidecar.deb"]', '["sidecar.dep"]', "did you mean 'sidecar.deb'?"),
        ("[images.pilot]", "formats = []\n[images.pilot]", "unknown key"),
        ('directories = ["', 'formats = []\ndirectories = ["', "formats: no format"),
        (
            'directories = ["',
            'platforms = ["linux/amd46"]\ndirectories = ["',
            "did you mean 'linux/amd64'?",
        ),
        (
            'directories = ["',
            'platforms = ["linux/amd64", "darwin/arm64"]\ndirectories = ["',
            "packages are for Linux, not darwin/arm64",
        ),
        (
            'directories = ["',
            'platforms = ["linux/amd64"]\ndirectories = ["',
            "images.pilot.packages: 'sidecar.deb' is not made for linux/arm64",
        ),
        (
            'packages = ["sidecar.deb"]',
            'packages = ["sidecar.deb"]\nfiles = { "sidecar.deb" = "notice" }',
            "'sidecar.deb' is the name of another file too",
        ),
        (
            '{ agent = "/usr/bin/agent" }',
            '{ agent = "/usr/bin/a", plugin = "/usr/bin/a" }\nplatforms = ["linux/amd64"]',
            "'/usr/bin/a' is the place of two binaries",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    root: Path, before: str, after: str, expected: str
) -> None:
    said = complaints(changed(GOOD, before, after), root)
    assert expected in said
    assert "targets.toml:" in said


def test_paths_keep_meaning_what_they_mean_where_they_were_written(root: Path) -> None:
    (root / "targets.toml").write_text(GOOD)
    fork = root / "fork"
    fork.mkdir()
    text = 'extends = "../targets.toml"\n[project]\nname = "fork"\n'
    (fork / "targets.toml").write_text(text)
    package = load_project(fork / "targets.toml").config.packages["sidecar"]
    assert package.config == {"/etc/sidecar.env": "../sidecar.env"}
    assert package.scripts.postinstall == "../postinst"
    assert package.deb.files == {"/usr/share/lintian/overrides/sidecar": "../notice"}
    assert package.links == {"/var/lib/sidecar/env": "/etc/sidecar.env"}


def test_files_may_lie_in_the_go_tree(root: Path) -> None:
    tree = root / "tree"
    tree.mkdir()
    (tree / "notice").write_text("theirs")
    text = GOOD.replace('copyright" = "notice"', 'copyright" = "${source}/notice"')
    (root / "targets.toml").write_text(text)
    package = load_project(root / "targets.toml", tree).config.packages["sidecar"]
    assert package.files == {"/usr/share/doc/sidecar/copyright": "tree/notice"}
