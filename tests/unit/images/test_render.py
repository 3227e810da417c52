from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from buildkit.images.render import (
    Variable,
    check_variables,
    read_template,
    referenced_variables,
    render,
)

VALUES = {
    "base": "local/base:1",
    "version": "1.2",
    "platform.os": "linux",
    "platform.arch": "arm64",
    "vars.suffix": "-debug",
}


def template(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Dockerfile.j2"
    path.write_text(text)
    return path


def test_variables_are_put_in_by_dotted_name(tmp_path: Path) -> None:
    path = template(
        tmp_path,
        "FROM {{ base }}\n{% if platform.arch == 'arm64' %}\nUSER 1\n{% endif %}\n"
        "COPY a{{ vars['suffix'] }} /\n",
    )
    assert render(path, VALUES) == "FROM local/base:1\nUSER 1\nCOPY a-debug /\n"


def test_a_default_stands_in_for_a_variable_that_no_image_declares(tmp_path: Path) -> None:
    path = template(tmp_path, "FROM x{{ vars.suffix | default('-plain') }}\n")
    assert render(path, {"base": "b"}) == "FROM x-plain\n"


@pytest.mark.parametrize(
    ("text", "line", "name", "near"),
    [
        ("FROM x\nLABEL {{ versoin }}\n", 2, "versoin", "Did you mean version?"),
        ("{{ platform.arc }}", 1, "platform.arc", "Did you mean platform.arch"),
        ("{% if false %}\n{{ vars.sufix }}{% endif %}", 2, "vars.sufix", "vars.suffix"),
        ("{{ other['x'].y }}", 1, "other.x.y", "Declare it under"),
    ],
)
def test_an_unknown_variable_names_file_line_and_near_miss(
    tmp_path: Path, text: str, line: int, name: str, near: str
) -> None:
    path = template(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        render(path, VALUES)
    assert caught.value.brief == f"{path}, line {line}: there is no variable '{name}'"
    assert near in caught.value.resolution
    assert "platform.arch" in caught.value.details


def test_an_unknown_key_that_only_running_shows_is_an_error_too(tmp_path: Path) -> None:
    path = template(tmp_path, "FROM x\n{% set k = 'nope' %}\n{{ vars[k] }}\n")
    with pytest.raises(ConfigError, match=r"line 3: .*has no attribute 'nope'"):
        render(path, VALUES)


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    path = template(tmp_path, "FROM x\n\n{% if %}\n")
    with pytest.raises(ConfigError, match=f"{path}, line 3: "):
        render(path, VALUES)
    with pytest.raises(ConfigError, match=f"{path}, line 3: "):
        referenced_variables(path, path.read_text())


def test_another_template_is_not_included(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    with pytest.raises(ConfigError, match=r"line 1: .*other"):
        render(template(tmp_path, "{% include 'other' %}"), VALUES)


def test_a_missing_template_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_template(tmp_path / "none.j2")
    assert "images.<name>.template" in caught.value.resolution


def test_referenced_variables_are_found_without_rendering() -> None:
    text = (
        "{{ base }}\n{% for x in vars.items %}{{ x.y }}{% endfor %}\n{% set z = version %}{{ z }}"
        "{{ vars.maybe | default('no') }}{% if vars.other is defined %}{% endif %}"
        "{{ vars['a'].b }}\n{{ hub|upper }}"
    )
    assert referenced_variables(Path("t"), text) == (
        Variable(1, "base"),
        Variable(2, "vars.items"),
        Variable(3, "vars.a.b"),
        Variable(3, "version"),
        Variable(4, "hub"),
    )


def test_a_group_of_variables_can_be_used_as_a_whole() -> None:
    check_variables(Path("t"), "{% for k in vars %}{{ k }}{% endfor %}", VALUES)
