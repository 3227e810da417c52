"""Every mistake in a release's archives with its place, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.check_release import archive_platforms
from buildkit.errors import ConfigError
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
max_size = "90MB"
[binaries.plugin]
package = "./plugin"
platforms = ["linux/amd64"]
[release.archives.mesh]
folder = "mesh-${version}"
formats = ["tar.gz", "zip"]
binaries = { agent = "bin/agent" }
files = { LICENSE = "LICENSE" }
generated = { "tools/agent.bash" = ["agent", "completion", "bash"] }
[release.archives.all]
name = "all-${version}-${os}-${arch}"
binaries = { agent = "agent", plugin = "plugin" }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "LICENSE").write_text("")
    return tmp_path


def test_an_archive_exists_where_all_its_binaries_do(root: Path) -> None:
    config = parse_config(GOOD, "targets.toml", root)
    archives = config.release.archives
    assert archive_platforms(config, archives["mesh"]) == config.matrix.platforms
    assert archive_platforms(config, archives["all"]) == ("linux/amd64",)


COMMANDS = """\
[command.ui]
argv = ["npm"]
outputs = ["dist"]
[command.native]
argv = ["cargo"]
outputs = ["native"]
platforms = ["linux/amd64"]
"""


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("${command.ui}/dist", ""),
        ("${command.ui}/dist/index.html", ""),
        ("${command.uo}/dist", "unknown command 'uo'"),
        ("${command.ui}/dits", "command 'ui' has no output 'dits'; did you mean 'dist'?"),
        ("${command.native}/native", "command 'native' is not for linux/arm64, darwin/arm64"),
    ],
)
def test_an_archive_takes_what_a_command_makes(root: Path, file: str, expected: str) -> None:
    text = GOOD.replace('LICENSE = "LICENSE"', f'ui = "{file}"') + COMMANDS
    if not expected:
        archives = parse_config(text, "targets.toml", root).release.archives
        assert archives["mesh"].files == {"ui": file}
        return
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "targets.toml", root)
    assert f"release.archives.mesh.files: {expected}" in str(caught.value)


@pytest.mark.parametrize("value", ["true", "false", '"LICENSE"', '"${source}/LICENSE"'])
def test_a_license_is_found_named_or_not_there(root: Path, value: str) -> None:
    text = f"{GOOD}[release]\nlicense = {value}\n"
    config = parse_config(text, "targets.toml", root)
    assert config.release.license in {True, False, "LICENSE"}


@pytest.mark.parametrize("value", ["COPYING", ""])
def test_a_license_that_is_not_there_is_an_error_with_its_place(root: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=f"release.license: '{value}' does not exist"):
        parse_config(f'{GOOD}[release]\nlicense = "{value}"\n', "targets.toml", root)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('{ agent = "bin/agent" }', '{ agant = "bin/agent" }', "unknown binary 'agant'; did you"),
        ('["agent", "completion"', '["agnt", "completion"', "unknown binary 'agnt'; did you mean"),
        ('["agent", "completion", "bash"]', "[]", "generated: unknown binary ''"),
        ('LICENSE = "LICENSE"', 'LICENSE = "LICENCE"', "'LICENCE' does not exist"),
        ('"bin/agent"', '"../agent"', "'../agent' leaves the archive"),
        ("mesh-${version}", "/mesh", "'/mesh' leaves the archive"),
        ('"tools/agent.bash"', '"bin/agent"', "'bin/agent' is the place of two things"),
        ("mesh-${version}", "mesh-${vershion}", "unknown variable '${vershion}'"),
        ("all-${version}-", "a/b-", "is no name of a file"),
        ('["tar.gz", "zip"]', "[]", "no format"),
        ('["tar.gz", "zip"]', '["tar.xz"]', "formats"),
        ('"90MB"', '"large"', "max_size"),
        (
            'binaries = { agent = "agent", plugin = "plugin" }',
            "",
            "there is nothing in it",
        ),
        (
            'folder = "mesh-${version}"',
            'platforms = ["linux/amd46"]',
            "unknown platform 'linux/amd46'",
        ),
        (
            'name = "all-${version}-${os}-${arch}"',
            'platforms = ["linux/arm64"]',
            "'plugin' is not made for linux/arm64",
        ),
    ],
)
def test_each_mistake_is_named(root: Path, old: str, new: str, expected: str) -> None:
    assert expected in complaints(changed(GOOD, old, new), root)
