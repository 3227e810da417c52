"""`invoke check` of templates, `invoke schema` and `invoke clean`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.config.schema import json_schema
from buildkit.errors import ConfigError, UsageError
from buildkit.pipeline.check import check_templates, clean_out, print_schema
from buildkit.plan.options import Options
from tests.fakes.units import image

PROJECT = """\
schema_version = 1
[project]
name = "tiny"
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64"]
"""


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(PROJECT)
    return path


def out(targets: Path) -> Path:
    made = targets.parent / "out"
    (made / "linux_amd64").mkdir(parents=True)
    (made / "linux_amd64" / "app").touch()
    return made


def test_clean_removes_what_this_tool_made(
    targets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = out(targets)
    (place / ".buildkit").mkdir()
    clean_out(Options(targets=str(targets)))
    assert not place.exists()
    assert targets.exists()
    assert capsys.readouterr().err == f"removed {place}\n"


def test_clean_leaves_a_foreign_directory_alone(targets: Path) -> None:
    place = out(targets)
    with pytest.raises(UsageError, match="was not made by this tool"):
        clean_out(Options(targets=str(targets)))
    assert (place / "linux_amd64" / "app").exists()


@pytest.mark.parametrize("exists", [True, False])
def test_clean_as_json_tells_whether_there_was_anything(
    targets: Path, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    if exists:
        (out(targets) / ".buildkit").mkdir()
    clean_out(Options(targets=str(targets), json=True))
    expected = {"out": str(targets.parent / "out"), "removed": exists}
    assert json.loads(capsys.readouterr().out) == expected


def test_the_schema_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_schema(Options())
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(json_schema()))


def test_a_template_may_use_what_it_is_given(tmp_path: Path) -> None:
    template = tmp_path / "Dockerfile.j2"
    template.write_text("FROM {{ base }}\nLABEL a={{ image }} b={{ platform.arch }}\n")
    check_templates((image("app", "base/static@linux/amd64", template=template),))


def test_a_variable_that_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    template = tmp_path / "Dockerfile.j2"
    template.write_text("FROM {{ base }}\n\nLABEL a={{ imag.name }}\n")
    unit = image("app", "base/static@linux/amd64", template=template)
    with pytest.raises(ConfigError, match=r"Dockerfile\.j2, line 3: .*'imag\.name'"):
        check_templates((replace(unit, name="first"), unit))
