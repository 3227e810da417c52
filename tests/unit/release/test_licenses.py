from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.release.licenses import ModuleVersion, license_entries, own_license, standard_license

MODULE = ModuleVersion("github.com/BurntSushi/toml", "v1.0.0")


def put(place: Path, *names: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).write_text(name)


def test_the_cache_writes_capitals_with_a_mark() -> None:
    assert MODULE.folder == "github.com/!burnt!sushi/toml@v1.0.0"


def test_all_license_files_of_a_module_are_taken_and_no_code(tmp_path: Path) -> None:
    names = ("COPYING", "LICENSE", "LICENSE-MIT.txt", "NOTICE.md", "PATENTS", "UNLICENSE")
    put(tmp_path / MODULE.folder, *names, "license.go", "main.go", "README.md")
    found = license_entries([MODULE, MODULE], tmp_path, vendor=tmp_path / "vendor")
    assert [entry.name for entry in found] == [f"{MODULE.folder}/{name}" for name in names]


def test_the_trees_own_copy_comes_first(tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    put(vendor / MODULE.path, "LICENSE.vendored")
    put(tmp_path / MODULE.folder, "LICENSE")
    (entry,) = license_entries([MODULE], tmp_path, vendor=vendor)
    assert entry.path == vendor / MODULE.path / "LICENSE.vendored"


def test_every_module_without_one_is_named(tmp_path: Path) -> None:
    put(tmp_path / "example.com/a@v1.0.0", "README.md")
    modules = [ModuleVersion("example.com/b", "v2.0.0"), ModuleVersion("example.com/a", "v1.0.0")]
    with pytest.raises(BuildError) as caught:
        license_entries(modules, tmp_path, vendor=tmp_path / "vendor")
    assert caught.value.brief == "2 modules have no license file"
    assert caught.value.details == "example.com/a v1.0.0\nexample.com/b v2.0.0"
    assert "release.unlicensed" in caught.value.resolution


def test_a_module_that_may_have_none_is_left_out(tmp_path: Path) -> None:
    assert license_entries([MODULE], tmp_path, vendor=tmp_path, known=[MODULE.path]) == ()


def test_gos_own_library_has_its_license_too(tmp_path: Path) -> None:
    put(tmp_path, "LICENSE", "PATENTS", "VERSION")
    found = standard_license(tmp_path, "go1.26.8")
    assert [entry.name for entry in found] == ["std@go1.26.8/LICENSE", "std@go1.26.8/PATENTS"]


def test_a_go_without_license_is_refused_unless_somebody_says_so(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="Go's own library has no license file"):
        standard_license(tmp_path, "go1.26.8")
    assert standard_license(tmp_path, "go1.26.8", known=["std"]) == ()


@pytest.mark.parametrize(
    "name", ["LICENSE", "LICENCE.md", "License.txt", "COPYING", "COPYING.LESSER", "UNLICENSE"]
)
def test_the_project_has_a_license_by_any_of_the_usual_names(tmp_path: Path, name: str) -> None:
    source, beside = tmp_path / "source", tmp_path / "beside"
    put(source, "NOTICE", "PATENTS", "license.go", "README.md")
    (source / "LICENSE.d").mkdir()
    assert own_license((source, beside)) is None
    put(beside, name)
    assert own_license((source, beside)) == beside / name
    put(source, name)
    assert own_license((source, beside)) == source / name
