"""Which Go compiles nfpm where the project's is older than that needs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from buildkit.errors import EnvironmentMissingError
from buildkit.pipeline import packaging
from buildkit.toolchain import Toolchain


def _case(monkeypatch: pytest.MonkeyPatch, project: str, path: str | None) -> tuple[Any, Any]:
    found = Toolchain(goroot=Path("/path"), version=path[2:], release=path) if path else None
    monkeypatch.setattr(packaging, "find_go", lambda *_: found)
    own = Toolchain(goroot=Path("/own"), version=project[2:], release=project)
    shop: Any = SimpleNamespace(
        environ={}, processes=None, project=SimpleNamespace(source=Path("/tree"))
    )
    choice = SimpleNamespace(version=project[2:])
    return shop, SimpleNamespace(release=project, choice=choice, toolchain=lambda: own)


@pytest.mark.parametrize(
    ("project", "path", "goroot"),
    [
        ("go1.23.0", "go1.26.0", "/own"),
        ("go1.17.13", "go1.23.0", "/path"),
    ],
)
def test_the_projects_go_or_the_one_on_path_compiles(
    monkeypatch: pytest.MonkeyPatch, project: str, path: str, goroot: str
) -> None:
    release, compiler = packaging.compiler_of_nfpm(*_case(monkeypatch, project, path))
    assert compiler().goroot == Path(goroot)
    assert compiler().release == release


@pytest.mark.parametrize("path", [None, "go1.18.1"])
def test_without_a_newer_go_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    _, compiler = packaging.compiler_of_nfpm(*_case(monkeypatch, "go1.17.13", path))
    with pytest.raises(EnvironmentMissingError, match=r"needs Go 1\.23 .* go1\.17\.13") as caught:
        compiler()
    assert "on PATH" in caught.value.resolution
