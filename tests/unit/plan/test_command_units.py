"""The units of commands, and of what needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from buildkit.config.load import Project, load_project
from buildkit.errors import UsageError
from buildkit.images.outline import Outlines
from buildkit.plan.draft import Facts
from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import Surroundings, resolve
from buildkit.plan.units import BuildImage, BuildPackage, RunCommand, Unit
from buildkit.platform import Platform
from buildkit.vcs import Commit
from tests.unit.config.test_commands import GOOD

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "images" / "app").mkdir(parents=True)
    (tmp_path / "images" / "app" / "Dockerfile.j2").write_text("FROM base\n")
    (tmp_path / "targets.toml").write_text(GOOD)
    return load_project(tmp_path / "targets.toml")


def graph(project: Project, host: Platform = AMD64, **options: Any) -> Graph:
    around = Surroundings(environ={}, cores=2, host=host, commit=Commit)
    settings = resolve(project, Options(version="1.2.3", **options), around)
    facts = Facts(go_version="go1.26.8", host=host, outline=Outlines().read)
    goals = frozenset({Goal.BUILD, Goal.DOCKER, Goal.PACKAGE})
    return build_graph(project, settings, facts, goals)


def units(project: Project, **options: Any) -> dict[str, Unit]:
    return {unit.id: unit for unit in graph(project, **options).units}


def test_a_command_comes_after_what_it_starts_and_before_what_needs_it(project: Project) -> None:
    found = list(units(project, platform="linux/arm64", only="app"))
    # The tool is for this machine, the program for the other one.
    assert found[:3] == ["binary/gen@linux/amd64", "command/code", "binary/app@linux/arm64"]


def test_what_says_the_same_in_every_place_keeps_its_names(project: Project) -> None:
    action = units(project, only="code")["command/code"].action
    assert isinstance(action, RunCommand)
    assert action.argv == ("${binary.gen}", "${source}/api", "--for=1.2.3")
    assert action.folder == project.source
    assert dict(action.paths)["binary.gen"] == project.root / "out" / "linux_amd64" / "gen"
    assert action.inputs == (("api/**/*.proto", project.source / "api/**/*.proto"),)


def test_a_command_of_a_platform_has_a_place_of_its_own(project: Project) -> None:
    found = units(project, only="rust")
    (unit,) = found.values()
    assert unit.id == "command/rust@linux/amd64"
    assert isinstance(unit.action, RunCommand)
    assert unit.action.argv[-1] == "--target=amd64"
    assert unit.action.folder == project.root / "out" / "linux_amd64" / "command" / "rust"
    missing = graph(project, only="rust", platform="linux/arm64,linux/amd64").missing
    assert missing == (
        ("command/rust@linux/arm64", "targets.toml does not run it for this platform"),
    )


def test_an_image_takes_outputs_from_where_they_will_be(project: Project) -> None:
    unit = units(project)["image/app@linux/amd64"]
    place = f"file:{project.root}/out/linux_amd64/command/rust/rust"
    assert isinstance(unit.action, BuildImage)
    assert unit.action.context[1:] == (("rust", place), ("x", place))
    own = ("base/static@linux/amd64", "binary/app@linux/amd64", "command/rust@linux/amd64")
    assert unit.needs == own


DOCKERFILE = """\
FROM scratch
ARG TARGETARCH
COPY ${TARGETARCH}/rust /
COPY tool.deb page/index.html /there/
"""
MORE = """
[command.page]
argv = ["make"]
outputs = ["page"]
[images.given]
dockerfile = "Dockerfile"
platforms = ["linux/amd64"]
files = { "page" = "${command.page}/page" }
[packages.tool]
description = "a tool"
maintainer = "Somebody <some@example.com>"
platforms = ["linux/amd64"]
binaries = { gen = "/usr/bin/gen" }
files = { "/usr/share/page" = "${command.page}/page" }
config = { "/etc/tool.conf" = "tool.conf" }
"""


def test_a_dockerfile_and_a_package_take_outputs_too(project: Project) -> None:
    (project.root / "Dockerfile").write_text(DOCKERFILE)
    (project.root / "tool.conf").write_text("")
    (project.root / "targets.toml").write_text(GOOD + MORE)
    found = units(load_project(project.root / "targets.toml"), only="given,tool")
    image, package = found["image/given@linux/amd64"], found["deb/tool@linux/amd64"]
    out = project.root / "out"
    assert isinstance(image.action, BuildImage)
    assert image.action.context == (
        ("amd64/rust", f"file:{out}/linux_amd64/command/rust/rust"),
        ("tool.deb", package.id),
        ("page", f"file:{out}/command/page/page"),
    )
    rust, page = "command/rust@linux/amd64", "command/page"
    gen = "binary/gen@linux/amd64"
    assert image.needs == ("base/scratch@linux/amd64", package.id, rust, page, gen)
    assert package.needs == (gen, page)
    assert isinstance(package.action, BuildPackage)
    assert package.action.contents == (
        ("/etc/tool.conf", f"file:{project.root}/tool.conf"),
        ("/usr/bin/gen", gen),
        ("/usr/share/page", f"file:{out}/command/page/page"),
    )


def test_binaries_that_wait_are_not_compiled_with_those_that_are_waited_for(
    project: Project,
) -> None:
    found = units(project, platform="linux/amd64")
    batches = [found[f"binary/{name}@linux/amd64"].batch for name in ("gen", "app")]
    assert batches == ["compile/default@linux/amd64", "compile/default+code@linux/amd64"]


def test_where_its_tool_cannot_run_a_command_and_what_needs_it_are_blocked(
    project: Project,
) -> None:
    found = graph(project, host=Platform("darwin", "arm64"), platform="linux/arm64")
    blocked = dict(found.blocked)
    assert "binary/gen@darwin/arm64" in blocked["command/code"]
    assert "command/code" in blocked["binary/app@linux/arm64"]
    assert [unit.id for unit in found.units] == ["binary/gen@linux/arm64"]


def test_a_tool_alone_is_no_reason_to_build_for_this_machine(project: Project) -> None:
    with pytest.raises(UsageError, match="no such unit"):
        graph(project, only="gne")
    assert list(units(project, only="gen", platform="linux/arm64")) == ["binary/gen@linux/arm64"]
