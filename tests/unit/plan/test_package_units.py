"""From ``[packages]`` to units: what is wanted, what that needs, what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from buildkit.plan.graph import Graph, settle_volatile
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.options import Goal
from buildkit.plan.units import BuildImage, BuildPackage, Unit
from tests.fakes.units import artifact
from tests.unit.plan import projects

TEXT = (
    projects.TEXT
    + """\
packages = ["sidecar.deb"]
platforms = ["linux/amd64"]
[packages.sidecar]
description = "for ${arch}"
maintainer = "Somebody <some@example.com>"
binaries = { envoy = "/usr/bin/envoy", agent = "/usr/bin/agent" }
files = { "/usr/share/sidecar" = "share" }
config = { "/etc/sidecar.env" = "sidecar.env" }
scripts = { postinstall = "postinst" }
[packages.sidecar.deb]
files = { "/usr/share/lintian/overrides/sidecar" = "overrides" }
"""
)
DEB = "deb/sidecar@linux/amd64"


def graph(*goals: Goal, **flags: Any) -> Graph:
    return projects.graph(*goals, text=TEXT, **flags)


def find(identity: str, **flags: Any) -> Unit:
    found = graph(Goal.PACKAGE, **flags)
    return next(unit for unit in found.units if unit.id == identity)


def package(identity: str = DEB, **flags: Any) -> BuildPackage:
    action = find(identity, **flags).action
    assert isinstance(action, BuildPackage)
    return action


def test_package_wants_every_format_of_every_linux_platform_after_what_is_in_it() -> None:
    found = graph(Goal.PACKAGE)
    assert [unit.id for unit in found.units] == [
        "binary/agent@linux/amd64",
        "fetch/envoy@linux/amd64",
        "deb/sidecar@linux/amd64",
        "rpm/sidecar@linux/amd64",
        "binary/agent@linux/arm64",
        "fetch/envoy@linux/arm64",
        "deb/sidecar@linux/arm64",
        "rpm/sidecar@linux/arm64",
    ]
    assert (found.missing, found.blocked) == ((), ())


def test_other_goals_want_none() -> None:
    found = graph(Goal.BUILD, platform="linux/arm64")
    assert not [unit for unit in found.units if unit.kind in {"deb", "rpm"}]


def test_only_chooses_by_name_kind_and_platform() -> None:
    names = [unit.id for unit in graph(Goal.PACKAGE, only="rpm/sidecar@linux/arm64").units]
    assert names[-1] == "rpm/sidecar@linux/arm64"
    assert len(names) == 3
    assert len(graph(Goal.PACKAGE, only="sidecar").units) == 8


def test_a_format_has_its_own_files_beside_those_of_all() -> None:
    assert package().contents == (
        ("/etc/sidecar.env", "file:/mesh/sidecar.env"),
        ("/usr/bin/agent", "binary/agent@linux/amd64"),
        ("/usr/bin/envoy", "fetch/envoy@linux/amd64"),
        ("/usr/share/lintian/overrides/sidecar", "file:/mesh/overrides"),
        ("/usr/share/sidecar", "file:/mesh/share"),
    )
    places = [place for place, _ in package("rpm/sidecar@linux/amd64").contents]
    assert "/usr/share/lintian/overrides/sidecar" not in places


def test_texts_are_filled_in_and_the_version_is_mapped() -> None:
    action = package(version="1.2.3-rc.1")
    assert action.package.description == "for amd64"
    assert action.version == "1.2.3~rc.1"
    assert action.scripts == (("postinstall", Path("/mesh/postinst")),)
    assert action.output == Path("/mesh/out/linux_amd64/release/sidecar.deb")


def test_an_unsafe_version_blocks_packages_and_nothing_else() -> None:
    found = graph(Goal.PACKAGE, Goal.BUILD, version="latest", platform="linux/amd64")
    blocked = dict(found.blocked)
    assert set(blocked) == {"deb/sidecar@linux/amd64", "rpm/sidecar@linux/amd64"}
    assert "'latest' is no version for a package" in blocked[DEB]
    assert "binary/agent@linux/amd64" in [unit.id for unit in found.units]


def test_an_image_gets_the_package_under_its_files_name() -> None:
    found = graph(Goal.DOCKER, platform="linux/amd64", only="debug")
    image = next(unit for unit in found.units if unit.id == "image/debug@linux/amd64")
    assert isinstance(image.action, BuildImage)
    assert ("sidecar.deb", DEB) in image.action.context
    assert DEB in image.needs
    # The engine looks at what the package will install.
    assert {"fetch/envoy@linux/amd64", "binary/agent@linux/amd64"} <= set(image.needs)
    assert DEB in [unit.id for unit in found.units]


def test_everything_in_it_is_an_input_and_the_commits_time_with_stamp_alone(
    tmp_path: Path,
) -> None:
    unit = find(DEB)
    given = {need: artifact(need) for need in unit.needs}
    hasher = Hasher({})
    now = inputs(unit, given, hasher)
    assert now["file /usr/bin/agent"] == "sha256:1"
    assert now["the time"] == ""
    stamped = settle_volatile(unit, {"created": "2026-01-01T00:00:00Z"})
    assert inputs(stamped, given, hasher)["the time"] == "2026-01-01T00:00:00Z"
    script = tmp_path / "postinst"
    script.write_text("x")
    assert isinstance(unit.action, BuildPackage)
    action = replace(unit.action, scripts=(("postinstall", script),))
    moved = inputs(replace(unit, action=action), given, hasher)
    assert moved["script postinstall"] != now["script postinstall"] == "missing"
