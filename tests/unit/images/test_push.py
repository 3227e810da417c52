from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from buildkit.digest import Digest
from buildkit.errors import AuthError, RegistryError
from buildkit.images.push import TEMPORARY_TAG, IndexPusher
from buildkit.oci.model import OCI_MANIFEST, Descriptor, Index
from buildkit.plan.units import Artifact, Kind, PushIndex, Step, Unit, Verdict
from buildkit.reference import Reference
from buildkit.store import Store
from tests.unit.images.fake_docker import FakeDocker, manifest_digest

TARGET = "localhost:5000/pilot"


@dataclass
class Registry:
    """Remembers the order of what is written; has every manifest unless told otherwise."""

    deletes: bool = True
    empty: bool = False
    indexes: dict[str, Index] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def head_manifest(self, reference: Reference) -> Descriptor | None:
        assert reference.digest is not None
        if self.empty:
            return None
        return Descriptor(media_type=OCI_MANIFEST, digest=reference.digest, size=7)

    def put_index(self, reference: Reference, index: Index) -> Descriptor:
        self.calls.append(f"put {reference}")
        self.indexes[str(reference)] = index
        return index.descriptor

    def delete_tag(self, reference: Reference) -> bool:
        self.calls.append(f"delete {reference}")
        return self.deletes


def push(
    fake: FakeDocker,
    registry: Registry,
    store: Store,
    *,
    platforms: tuple[str, ...] = ("linux/amd64", "linux/arm64"),
    references: tuple[str, ...] = (f"{TARGET}:latest", f"{TARGET}:v1"),
    really: bool = True,
) -> Artifact:
    given = {}
    for platform in platforms:
        name, identity = f"image/pilot@{platform}", fake.add(f"x:{platform}", platform)
        given[name] = Artifact(unit=name, digest=identity, size=1)
    action = PushIndex(name="pilot", images=tuple(given), references=references, push=really)
    unit = Unit(kind=Kind.PUSH, name="pilot", platform=None, action=action)
    pusher = IndexPusher(client=lambda: fake.client, registry=registry, store=store)
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    (artifact,) = pusher.build((step,), given, lambda _: None)
    return artifact


def test_platforms_are_pushed_and_one_index_names_them(store: Store) -> None:
    fake, registry = FakeDocker(), Registry()
    artifact = push(fake, registry, store)
    index = registry.indexes[f"{TARGET}:latest"]
    assert artifact.digest == str(Digest.of_bytes(index.data))
    assert artifact.reference == (f"{TARGET}:latest", f"{TARGET}:v1")
    entries = json.loads(index.data)["manifests"]
    assert [item["platform"]["architecture"] for item in entries] == ["amd64", "arm64"]
    assert [item["digest"] for item in entries] == [
        str(manifest_digest(identity)) for _, identity in fake.pushes
    ]
    assert {name for name, _ in fake.pushes} == {f"{TARGET}:{TEMPORARY_TAG}"}


def test_tags_are_written_last_and_the_temporary_one_goes(store: Store) -> None:
    fake, registry = FakeDocker(), Registry()
    push(fake, registry, store)
    assert registry.calls == [
        f"put {TARGET}:latest",
        f"put {TARGET}:v1",
        f"delete {TARGET}:{TEMPORARY_TAG}",
    ]
    # Neither the temporary tag nor what the push left in the daemon remains.
    names = {name for name in fake.names if name.startswith(TARGET)}
    assert names == {f"{TARGET}:latest", f"{TARGET}:v1"}


def test_a_temporary_tag_that_stays_names_the_index(store: Store) -> None:
    registry = Registry(deletes=False)
    push(FakeDocker(), registry, store)
    assert registry.indexes[f"{TARGET}:{TEMPORARY_TAG}"] == registry.indexes[f"{TARGET}:v1"]


def test_one_platform_is_an_index_as_well(store: Store) -> None:
    registry = Registry()
    push(FakeDocker(), registry, store, platforms=("linux/arm64",))
    assert len(registry.indexes[f"{TARGET}:latest"].manifests) == 1


def test_the_tag_in_the_daemon_is_its_own_platform(store: Store) -> None:
    fake = FakeDocker(native="linux/arm64")
    push(fake, Registry(), store)
    assert fake.images[fake.names[f"{TARGET}:latest"]]["Architecture"] == "arm64"
    assert fake.names[f"{TARGET}:latest"] == fake.names[f"{TARGET}:v1"]


def test_a_single_foreign_platform_is_tagged_too(store: Store) -> None:
    fake = FakeDocker(native="linux/amd64")
    push(fake, Registry(), store, platforms=("linux/arm64",))
    assert fake.images[fake.names[f"{TARGET}:latest"]]["Architecture"] == "arm64"


def test_several_foreign_platforms_are_not_tagged(store: Store) -> None:
    fake = FakeDocker(native="linux/s390x")
    push(fake, Registry(), store)
    assert f"{TARGET}:latest" not in fake.names


def test_without_push_images_are_only_tagged(store: Store) -> None:
    fake, registry = FakeDocker(), Registry()
    artifact = push(fake, registry, store, really=False)
    assert (fake.pushes, registry.calls) == ([], [])
    assert artifact.digest == fake.names[f"{TARGET}:latest"]


def test_two_hubs_get_their_own_pushes(store: Store) -> None:
    fake, registry = FakeDocker(), Registry()
    push(fake, registry, store, references=("a.example:5000/x:1", "b.example:5000/x:1"))
    assert len(fake.pushes) == 4
    assert {"a.example:5000/x:1", "b.example:5000/x:1"} <= registry.indexes.keys()


def test_an_error_in_the_push_stream_is_an_error_and_no_tag_moves(store: Store) -> None:
    fake, registry = FakeDocker(), Registry()
    fake.streams = [[{"status": "Preparing"}, {"errorDetail": {"message": "blob upload invalid"}}]]
    with pytest.raises(RegistryError, match="blob upload invalid"):
        push(fake, registry, store)
    assert registry.calls == []
    assert not [name for name in fake.names if name.startswith(TARGET)]


def test_refused_credentials_say_how_to_log_in(store: Store) -> None:
    fake = FakeDocker()
    fake.streams = [[{"error": "unauthorized: authentication required"}]]
    with pytest.raises(AuthError) as caught:
        push(fake, Registry(), store)
    assert caught.value.resolution == "Log in with `docker login localhost:5000`."


def test_a_push_that_left_nothing_is_an_error(store: Store) -> None:
    registry = Registry(empty=True)
    with pytest.raises(RegistryError, match="does not have what was pushed"):
        push(FakeDocker(), registry, store)
    assert registry.calls == []


def test_a_push_without_a_digest_is_an_error(store: Store) -> None:
    fake = FakeDocker()
    fake.streams = [[{"status": "Pushed"}]]
    with pytest.raises(RegistryError, match="no digest and no error"):
        push(fake, Registry(), store)
