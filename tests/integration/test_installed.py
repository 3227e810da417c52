"""What an installed toolkit has: the shipped examples, and `verify` for who downloads a release."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.config.test_shipped import EXAMPLES, istio_tree
from tests.unit.verify.test_release import write

ROOT = Path(__file__).parents[2]
PROGRAM = ("-c", "from buildkit.tasks import main; main()")


def python(place: Path, *words: str, path: str = "") -> str:
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, and install it where nothing of the checkout is."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from flit_core.buildapi import build_wheel; print(build_wheel({str(folder)!r}))"
    wheel = python(ROOT, "-c", build).split()[-1]
    target = folder / "site"
    words = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target))
    python(folder, *words, str(folder / wheel))
    return target


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_fork_extends_an_example_of_the_installed_package(
    site: Path, name: str, tmp_path: Path
) -> None:
    tree = istio_tree(tmp_path, name)
    (tree / "targets.toml").write_text(f'extends = "{name}"\n[project]\nname = "fork"\n')
    said = python(tree, *PROGRAM, "config", path=str(site))
    assert 'project.name = "fork"' in said
    (line,) = (line for line in said.splitlines() if line.startswith("binaries.istioctl.package"))
    assert f"buildkit/examples/{name}.toml:" in line
    assert str(ROOT) not in said


def test_who_downloads_a_release_verifies_it_in_an_empty_directory(
    site: Path, tmp_path: Path
) -> None:
    write(tmp_path / "mesh")
    (tmp_path / "app").unlink()
    for subject in ("mesh", "mesh/app.tar.gz"):
        said = python(tmp_path, *PROGRAM, "verify", subject, path=str(site))
        assert "1 of them hold the version" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mesh"]
