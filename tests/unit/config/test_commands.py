"""``[command.NAME]``: what is right, and what every mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.commands import split_output, used_names
from buildkit.config.layers import merge, read_layers
from buildkit.config.model import Command
from tests.unit.config.mistakes import changed, complaints
from tests.unit.config.parsing import parse_config

GOOD = """\
schema_version = 1
[project]
name = "mesh"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[binaries]
gen = { package = "./gen" }
app = { package = "./app", needs = ["code"] }
[command.code]
argv = ["${binary.gen}", "${source}/api", "--for=${version}"]
inputs = ["${source}/api/**/*.proto"]
outputs = ["api/api.pb.go"]
into_source = true
[command.rust]
argv = ["cargo", "build", "--target-dir=${out}", "--target=${arch}"]
outputs = ["rust"]
platforms = ["linux/amd64"]
[bases.static]
kind = "static"
[images.app]
base = ["static"]
binaries = ["app", "rust"]
files = { "x" = "${command.rust}/rust" }
platforms = ["linux/amd64"]
"""
PACKAGE = """\
[command.page]
argv = ["make"]
outputs = ["x"]
[packages.tool]
description = "a tool"
maintainer = "Somebody <some@example.com>"
binaries = { gen = "/usr/bin/gen" }
files = { "/usr/share/x" = "${command.page}/x" }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images" / "app").mkdir(parents=True)
    (tmp_path / "images" / "app" / "Dockerfile.j2").write_text("FROM base\n")
    return tmp_path


def test_what_a_command_uses(root: Path) -> None:
    command = parse_config(GOOD, "targets.toml", root).command["code"]
    assert used_names(command, "binary") == ("gen",)
    assert used_names(command, "command") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${command.web}/dist/a", ("web", "dist/a")),
        ("${command.web}/./dist/", ("web", "dist")),
        ("${command.web}", ("", "")),
        ("web/dist", ("", "")),
    ],
)
def test_an_output_of_a_command(text: str, found: tuple[str, str]) -> None:
    assert split_output(text) == found


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('argv = ["cargo", ', 'argv = ["", ', "command.rust.argv: no program"),
        ('outputs = ["rust"]', "outputs = []", "command.rust.outputs: no output"),
        ('outputs = ["rust"]', 'outputs = ["../rust"]', "'../rust' is no path below"),
        ('outputs = ["rust"]', 'outputs = ["/rust"]', "'/rust' is no path below"),
        ('outputs = ["rust"]', 'outputs = ["rust"]\nenvv = {}', "did you mean 'env'?"),
        ("${binary.gen}", "${binary.gne}", "'${binary.gne}'; did you mean 'binary.gen'?"),
        ("--for=${version}", "--for=${arch}", "unknown variable '${arch}'"),
        ("--for=${version}", "--for=$HOME", "a lone '$'"),
        ('inputs = ["${source}/api/**', 'inputs = ["${out}/api/**', "unknown variable '${out}'"),
        ('inputs = ["${source}/api/**/*.proto"]', 'inputs = ["api"]', "it is '${source}/api'"),
        ('needs = ["code"]', 'needs = ["cdoe"]', "unknown command 'cdoe'; did you mean 'code'?"),
        ('needs = ["code"]', 'needs = ["rust"]', "command 'rust' is not for linux/arm64"),
        ("${binary.gen}", "${binary.app}", "a cycle: "),
        ("--for=${version}", "${command.code}", "a cycle: command.code -> command.code"),
        ("--for=${version}", "${command.rust}", "'rust' is made per platform, this once"),
        ('["linux/amd64"]\n[bases', '["linux/amd46"]\n[bases', "did you mean 'linux/amd64'?"),
        ("${command.rust}/rust", "${command.rusd}/rust", "did you mean 'rust'?"),
        ("${command.rust}/rust", "${command.rust}/rast", "has no output 'rast'; did you mean"),
        ('"app", "rust"]', '"app", "code"]', "command 'code' has no output 'code'"),
        ('"app", "rust"]', '"app", "rusd"]', "unknown binary 'rusd'; did you mean 'rust'?"),
        ("gen = {", "command = {", "the directory of commands"),
        ("gen = {", "rust = {", "its output 'rust' is the name of a binary too"),
        (
            "[bases",
            PACKAGE.replace("${command.page}", "${command.pgae}") + "[bases",
            "did you mean 'page'?",
        ),
        ("[bases", PACKAGE.replace("}/x", "}/y") + "[bases", "command 'page' has no output 'y'"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(
    root: Path, before: str, after: str, said: str
) -> None:
    assert said in complaints(changed(GOOD, before, after), root)


def test_a_command_may_be_called_as_a_binary_that_it_does_not_make(root: Path) -> None:
    text = GOOD.replace("command.code]", "command.app]").replace('["code"]', '["app"]')
    config = parse_config(text + PACKAGE, "targets.toml", root)
    assert config.images["app"].binaries == ("app", "rust")


def test_paths_of_a_file_that_is_extended_keep_their_meaning(tmp_path: Path) -> None:
    below = '[command.web]\nargv = ["x"]\noutputs = ["y"]\ndirectory = "ui"\n'
    below += 'inputs = ["ui/**", "${source}/web", "${command.x}"]\n'
    below += '[images.a]\nfiles = { "a" = "${command.web}/y", "b" = "b" }\n'
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "targets.toml").write_text(below)
    (tmp_path / "targets.toml").write_text('extends = "below/targets.toml"\n')
    layers = read_layers(tmp_path / "targets.toml")
    data, _ = merge(layers, layers[-1])
    assert data["command"]["web"]["directory"] == "below/ui"
    assert data["command"]["web"]["inputs"] == ["below/ui/**", "${source}/web", "${command.x}"]
    assert data["images"]["a"]["files"] == {"a": "${command.web}/y", "b": "below/b"}


def test_a_command_runs_once_in_the_source_unless_it_says_otherwise() -> None:
    command = Command(argv=("x",), outputs=("y",))
    assert (command.platforms, command.directory) == (None, "${source}")
