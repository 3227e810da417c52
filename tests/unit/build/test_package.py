"""What nfpm is asked to write, and what becomes of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from buildkit.build.package import PackageBuilder
from buildkit.config.release_model import Package, PackageFormat
from buildkit.errors import BuildError
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import Artifact, BuildPackage, Kind, Unit
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.dynamic import make_dynamic
from tests.fakes.runner import Call, FakeRunner
from tests.fakes.units import running

AGENT = "binary/agent@linux/amd64"
EPOCH = 1767225600
MOMENT = "2026-01-01T00:00:00Z"


class World:
    """A package, and an nfpm that keeps what it was asked for."""

    def __init__(self, root: Path, store: Store) -> None:
        self.store = store
        self.asked: dict[str, Any] = {}
        self.seen: dict[str, bytes] = {}
        self.calls: list[Call] = []
        self.fails = False
        for name in ("env", "tool.sh", "postinst", "share/a/b"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        (root / "tool.sh").chmod(0o750)
        (root / "agent").write_bytes(b"agent")
        self.program = root / "nfpm"
        self.program.write_bytes(b"program")
        self.given = {AGENT: Artifact(unit=AGENT, digest="", size=5, path=root / "agent")}
        self.action = BuildPackage(
            name="sidecar",
            package=Package(
                description="Costs $5\nand more",
                maintainer="Somebody <some@example.com>",
                config={"/etc/env": "env"},
                directories=("/var/lib/x",),
                links={"/var/lib/x/env": "/etc/env"},
                depends=("sudo",),
                deb=PackageFormat(depends=("libc6 (>= 2.30)",)),
                rpm=PackageFormat(depends=("glibc >= 2.30",)),
            ),
            version="1.2.3~rc.1",
            architecture="amd64",
            contents=(
                ("/etc/env", f"file:{root / 'share' / '..' / 'env'}"),
                ("/usr/bin/agent", AGENT),
                ("/usr/bin/tool.sh", f"file:{root / 'tool.sh'}"),
                ("/usr/share/x", f"file:{root / 'share'}"),
            ),
            scripts=(("postinstall", root / "postinst"),),
            url="https://example.com",
            licenses="Apache-2.0",
            packager="nfpm 2.43.0",
            output=root / "out" / "sidecar.deb",
        )

    def _answer(self, call: Call) -> tuple[int, bytes, bytes]:
        self.calls.append(call)
        self.asked = json.loads((call.cwd / "nfpm.json").read_bytes())
        files = (item for item in self.asked["contents"] if item.get("type") in {"", None})
        self.seen = {item["dst"]: Path(item["src"]).read_bytes() for item in files}
        if self.fails:
            return 1, b"", b"nfpm's own words"
        Path(call.argv[-1]).write_bytes(b"package")
        return 0, b"", b""

    def build(self, kind: Kind = Kind.DEB) -> Artifact:
        unit = Unit(
            kind=kind, name="sidecar", platform=Platform("linux", "amd64"), action=self.action
        )
        builder = PackageBuilder(
            program=lambda: self.program,
            runner=FakeRunner(self._answer),
            epoch=lambda: EPOCH,
            scratch=self.store.workspace,
            digest=Hasher({}).digest,
        )
        (made,) = builder.build((running(unit),), self.given, lambda _: None)
        return made

    def content(self, place: str) -> dict[str, Any]:
        found: dict[str, Any] = next(i for i in self.asked["contents"] if i["dst"] == place)
        return found


@pytest.fixture
def world(tmp_path: Path, store: Store) -> World:
    return World(tmp_path, store)


def test_the_artifact_is_the_file(world: World) -> None:
    made = world.build()
    assert made.unit == "deb/sidecar@linux/amd64"
    assert made.path == world.action.output
    assert made.path.read_bytes() == b"package"
    assert made.size == 7


def test_modes_owners_and_times_are_given_and_not_read_from_the_disk(world: World) -> None:
    world.build()
    owner = {"owner": "root", "group": "root", "mtime": MOMENT}
    assert world.content("/usr/bin/agent")["file_info"] == {**owner, "mode": 0o755}
    assert world.content("/usr/bin/tool.sh")["file_info"] == {**owner, "mode": 0o755}
    assert world.content("/etc/env")["file_info"] == {**owner, "mode": 0o644}
    assert ".." not in world.content("/etc/env")["src"]
    assert world.content("/etc/env")["type"] == "config|noreplace"
    assert world.content("/var/lib/x")["type"] == "dir"
    assert world.content("/var/lib/x/env")["src"] == "/etc/env"
    assert world.content("/usr/share/x/a/b")["file_info"]["mode"] == 0o644
    assert world.asked["mtime"] == MOMENT
    assert world.calls[0].env == {"DOLLAR": "$", "SOURCE_DATE_EPOCH": str(EPOCH)}


def test_a_format_has_its_own_dependencies_beside_those_of_all(world: World) -> None:
    world.build(Kind.DEB)
    assert world.asked["depends"] == ["sudo", "libc6 (>= 2.30)"]
    assert "license" not in world.asked
    world.build(Kind.RPM)
    assert world.asked["depends"] == ["sudo", "glibc >= 2.30"]
    assert world.asked["license"] == "Apache-2.0"
    assert world.asked["rpm"]["buildhost"] == "localhost"
    assert world.asked["rpm"]["summary"] == "Costs ${DOLLAR}5"


def test_the_libc_that_programs_were_linked_to_is_a_dependency_unless_it_is_named(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "agent").write_bytes(make_dynamic({"libc.so.6": ("GLIBC_2.17", "GLIBC_2.31")}))
    world.build(Kind.DEB)
    assert world.asked["depends"] == ["sudo", "libc6 (>= 2.30)"]
    package = structs.replace(world.action.package, deb=PackageFormat(), rpm=PackageFormat())
    world.action = replace(world.action, package=package)
    world.build(Kind.DEB)
    assert world.asked["depends"] == ["sudo", "libc6 (>= 2.31)"]
    world.build(Kind.RPM)
    assert world.asked["depends"] == ["sudo", "glibc >= 2.31"]


def test_a_dollar_sign_stays_one(world: World) -> None:
    world.build()
    assert world.asked["description"] == "Costs ${DOLLAR}5\nand more"


def test_a_deb_gets_its_copyright_note_and_changelog_unless_it_has_them(world: World) -> None:
    world.build()
    folder = "/usr/share/doc/sidecar"
    assert b"Apache-2.0" in world.seen[f"{folder}/copyright"]
    changelog = gzip.decompress(world.seen[f"{folder}/changelog.gz"]).decode()
    assert changelog.startswith("sidecar (1.2.3~rc.1) unstable")
    assert changelog.endswith("Somebody <some@example.com>  Thu, 01 Jan 2026 00:00:00 +0000\n")
    mine = world.action.contents[0][1]
    own = (*world.action.contents, (f"{folder}/copyright", mine))
    world.action = replace(world.action, contents=own)
    world.build()
    assert world.seen[f"{folder}/copyright"] == b"env"
    world.build(Kind.RPM)
    assert f"{folder}/changelog.gz" not in world.seen


def test_what_is_wrong_with_a_program_is_wrong_with_the_package(world: World) -> None:
    world.given[AGENT] = replace(world.given[AGENT], problem="lacks its version")
    assert world.build().problem == f"holds {AGENT}, which lacks its version"


def test_nothing_remains_of_one_that_fails(world: World) -> None:
    world.fails = True
    with pytest.raises(BuildError, match="deb/sidecar@linux/amd64 cannot be made") as caught:
        world.build()
    assert caught.value.details == "nfpm's own words"
    assert list(world.action.output.parent.iterdir()) == []


def test_what_is_no_file_cannot_be_in_a_package(world: World) -> None:
    world.given[AGENT] = replace(world.given[AGENT], path=None)
    with pytest.raises(BuildError, match="is no file, so it cannot be in a package"):
        world.build()
