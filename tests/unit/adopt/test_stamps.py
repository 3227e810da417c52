from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.adopt.golist import Package
from buildkit.adopt.model import Stamp
from buildkit.adopt.stamps import find_stamps, meaning, string_variables

MODULE = "example.com/mesh"
VERSION = """\
package version

const unset = "unknown"

var (
\tVersion   = unset
\tgitCommit string
\tgoVersion = runtime.Version()
\tMode      = "fast"
\tarch      = runtime.GOARCH // of the target
)
var Tag = "v0.0.0-dev"
func f() {
\tlocal := ""
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "pkg" / "version"
    folder.mkdir(parents=True)
    (folder / "version.go").write_text(VERSION)
    (folder / "version_test.go").write_text('package version\n\nvar TestVersion = ""\n')
    return tmp_path


def stamps(tree: Path) -> dict[str, Stamp]:
    folder = tree / "pkg" / "version"
    package = Package(import_path=f"{MODULE}/pkg/version", name="version", dir=str(folder))
    found = find_stamps(tree, MODULE, [package])
    return {item.variable.removeprefix(f"{MODULE}/pkg/version."): item for item in found}


def script(tree: Path, name: str, text: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("buildVersion", "${version}"),
        ("Version", "${version}"),
        ("goVersion", ""),
        ("apiVersion", ""),
        ("buildGitRevision", "${git.revision}"),
        ("GitCommit", "${git.revision}"),
        ("buildStatus", "${git.status}"),
        ("buildTag", "${git.describe}"),
        ("buildDate", "${created}"),
        ("buildHub", "${hub}"),
        ("buildOS", "${os}"),
        ("buildArch", "${arch}"),
        ("Envoy", ""),
    ],
)
def test_a_name_says_what_a_variable_holds(name: str, text: str) -> None:
    assert meaning(name) == text


def test_string_variables_are_those_the_linker_can_set() -> None:
    found = dict(string_variables(VERSION))
    assert found == {
        "Version": "unknown",
        "gitCommit": "",
        "Mode": "fast",
        "arch": "unknown",
        "Tag": "v0.0.0-dev",
    }


def test_without_a_script_the_open_variables_of_a_version_package_are_candidates(
    tree: Path,
) -> None:
    found = stamps(tree)
    assert {name: item.text for name, item in found.items()} == {
        "Version": "${version}",
        "gitCommit": "${git.revision}",
        "arch": "${arch}",
        "Tag": "${git.describe}",
    }
    assert not any(item.found for item in found.values())


def test_what_a_script_sets_is_taken_and_nothing_else(tree: Path) -> None:
    text = (
        "FLAGS := -X example.com/mesh/pkg/version.Version=$(V) "
        "-X example.com/mesh/pkg/version.Mode=$(shell git describe --tags) \\\n"
        "  -X example.com/mesh/pkg/version.Other=$(WHAT)\n"
    )
    script(tree, "mk/build.mk", text)
    found = stamps(tree)
    assert [(name, item.text, item.found) for name, item in found.items()] == [
        ("Version", "${version}", True),
        ("Mode", "${git.describe}", True),
        ("Other", "", True),
    ]
    assert found["Version"].origin == "mk/build.mk"


def test_a_variable_before_the_package_is_put_in_or_found_by_the_rest(tree: Path) -> None:
    script(
        tree, "Makefile", f"PKG := {MODULE}/pkg/version\nL = -X $(PKG).Tag=x -X $(NO).Version=y\n"
    )
    script(tree, "hack/build.sh", 'go build -ldflags "-X ${ROOT}/pkg/version.gitCommit=$SHA"\n')
    assert list(stamps(tree)) == ["Tag", "gitCommit"]


def test_istio_prints_them_and_they_may_be_of_another_module(tree: Path) -> None:
    script(
        tree, "common/scripts/report.sh", 'echo "istio.io/pkg/version.buildVersion=${VERSION}"\n'
    )
    found = stamps(tree)
    assert found["istio.io/pkg/version.buildVersion"].text == "${version}"
