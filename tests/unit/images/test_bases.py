from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from buildkit.config.lock import PackagePin
from buildkit.config.model import Base
from buildkit.digest import Digest
from buildkit.errors import ConfigError, EnvironmentMissingError
from buildkit.images.bases import BaseAssembler
from buildkit.images.local import base_config, base_layer, local_base, local_name
from buildkit.images.sheet import Sheet, read_sheet
from buildkit.images.static import static_entries
from buildkit.oci.layer import arrange
from buildkit.plan.units import Artifact, AssembleBase, Kind, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.store import Store
from tests.unit.images.fake_archive import URL, FakeArchive, deb

ARM = Platform.parse("linux/arm64")
DIGEST = f"sha256:{'1' * 64}"


class Scene:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.fake = FakeArchive()
        self.asked: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.keyring = store.root / "keys.gpg"
        self.keyring.touch()

    def find(self, name: str, platform: Platform) -> Sheet:
        self.asked.append((name, str(platform)))
        return Sheet(config=base_config(platform, None).decode())

    def assemble(
        self,
        base: Base,
        platform: str = "linux/amd64",
        packages: tuple[PackagePin, ...] = (),
        url: str = URL,
        digest: str = "",
    ) -> Artifact:
        assembler = BaseAssembler(
            store=self.store,
            project="mesh",
            find=self.find,
            pool=self.fake.pool,
            runner=self.fake,
            environ={},
            warn=self.warnings.append,
            keyrings=(self.keyring,),
        )
        action = AssembleBase(name="b", base=base, packages=packages, archive=url, digest=digest)
        parsed = Platform.parse(platform)
        unit = Unit(kind=Kind.BASE, name="b", platform=parsed, action=action)
        (made,) = assembler.build(
            (Step(unit=unit, verdict=Verdict.RUN, reason=""),), {}, lambda _: None
        )
        return made


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def paths(artifact: Artifact) -> set[str]:
    assert artifact.path is not None
    with tarfile.open(artifact.path) as layer:
        return set(layer.getnames())


def test_static_is_one_layer_for_every_platform(scene: Scene) -> None:
    one = scene.assemble(Base(kind="static"))
    two = scene.assemble(Base(kind="static"), "linux/arm64")
    assert one.digest == two.digest
    assert {"etc/passwd", "tmp", "usr/share/zoneinfo/UTC", "usr/lib/os-release"} <= paths(one)


def test_static_is_assembled_the_same_in_two_stores(scene: Scene, tmp_path: Path) -> None:
    other = Scene(Store.open(tmp_path / "other"))
    assert scene.assemble(Base(kind="static")).digest == other.assemble(Base(kind="static")).digest


def test_static_holds_users_names_and_no_shell() -> None:
    entries = {entry.path: entry for entry in arrange(static_entries("my mesh"))}
    passwd, release = entries["etc/passwd"].content, entries["usr/lib/os-release"].content
    assert isinstance(passwd, bytes)
    assert isinstance(release, bytes)
    fields = [line.split(":") for line in passwd.decode().splitlines()]
    assert {(name, uid) for name, _, uid, *_ in fields} == {
        ("root", "0"),
        ("nobody", "65534"),
        ("nonroot", "65532"),
        ("istio-proxy", "1337"),
    }
    assert b'NAME="my mesh"' in release
    assert entries["tmp"].mode == 0o1777
    assert not [path for path in entries if path.endswith((".py", ".pyc", "/sh"))]


def test_scratch_has_no_layer_and_an_id_per_platform(scene: Scene) -> None:
    one = scene.assemble(Base(kind="scratch"))
    two = scene.assemble(Base(kind="scratch"), "linux/arm64")
    assert one.path is None
    assert base_layer(one) is None
    assert one.digest != two.digest
    assert json.loads(base_config(ARM, None))["rootfs"]["diff_ids"] == []


def test_a_debian_base_is_made_of_its_pins_and_then_needs_no_archive(scene: Scene) -> None:
    pin = scene.fake.add("p", deb("p", ("./usr/", None), ("./usr/p", b"1")))
    base = Base(kind="debian", suite="trixie", packages=("p",))
    first = scene.assemble(base, packages=(pin,))
    assert {"usr/p", "var/lib/dpkg/status.d/p", "etc/passwd"} <= paths(first)
    scene.fake.files.clear()
    again = scene.assemble(base, packages=(pin,), url="")
    assert again == first
    assert scene.fake.asked == [pin.file]


def test_a_replaced_package_is_not_remembered_as_its_pin(scene: Scene) -> None:
    old = scene.fake.add("p", deb("p", ("./p", b"old")))
    del scene.fake.files[old.file]
    scene.fake.add("p", deb("p", ("./p", b"new")), version="2")
    base = Base(kind="debian", suite="trixie", packages=("p",))
    for _ in range(2):
        scene.assemble(base, packages=(old,))
    assert len(scene.warnings) == 2


def test_an_unpinned_base_says_what_to_run(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="no package of the base 'b' is pinned") as caught:
        scene.assemble(Base(kind="debian", suite="trixie"))
    assert "invoke lock" in caught.value.resolution
    with pytest.raises(ConfigError, match="'b' is not pinned for linux/amd64"):
        scene.assemble(Base(kind="registry", reference="example.com/x"))


def test_a_debian_base_without_archive_or_cache_says_what_to_give(scene: Scene) -> None:
    pin = scene.fake.add("p", deb("p"))
    with pytest.raises(EnvironmentMissingError, match="no Debian archive") as caught:
        scene.assemble(Base(kind="debian", suite="trixie"), packages=(pin,), url="")
    assert "--debian-archive" in caught.value.resolution


def test_a_registry_base_is_described_by_its_pin_and_named_for_its_platform(scene: Scene) -> None:
    base = Base(kind="registry", reference="example.com/os:12")
    made = scene.assemble(base, "linux/arm64", digest=DIGEST)
    assert scene.asked == [(f"example.com/os:12@{DIGEST}", "linux/arm64")]
    name, pinned = made.reference
    assert pinned == f"example.com/os:12@{DIGEST}"
    assert ":linux_arm64-" in name
    assert made.path is not None
    assert str(read_sheet(made.path).id) == made.digest


def test_a_damaged_cached_layer_is_made_again(scene: Scene) -> None:
    first = scene.assemble(Base(kind="static"))
    assert first.path is not None
    first.path.write_bytes(b"damaged")
    assert paths(scene.assemble(Base(kind="static"))) > {"etc/passwd"}


def test_names_in_the_daemon_are_valid_and_of_one_content() -> None:
    assert local_name("My Mesh", "a_b.c", tag="t") == "meshwright.local/my-mesh/a-b-c:t"
    artifact = Artifact(unit="base/static@x", digest=DIGEST, size=1, path=Path("layer"))
    amd, arm = local_base(artifact, Platform.parse("linux/amd64")), local_base(artifact, ARM)
    assert amd.name != arm.name
    assert arm.name.startswith("meshwright.local/base/static:linux_arm64-")
    assert arm.label_digest.startswith("sha256:")


@pytest.mark.parametrize("folder", ["bases", "blobs"])
@pytest.mark.parametrize("damage", [None, b"", b"{}", b"sha256:0\n{}"])
def test_a_base_whose_cache_is_damaged_or_gone_is_assembled_again(
    scene: Scene, store: Store, folder: str, damage: bytes | None
) -> None:
    first = scene.assemble(Base(kind="static"))
    for path in [path for path in (store.root / folder).rglob("*") if path.is_file()]:
        path.write_bytes(damage) if damage is not None else path.unlink()
    assert scene.assemble(Base(kind="static")) == first
    assert first.path is not None
    assert str(Digest.of_file(first.path)) == first.digest
