"""Pushing: the order of writes over hubs and tags, --no-clobber, read-back, registries that die."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from buildkit.errors import RegistryError, VerificationError
from buildkit.images.publish import IndexPublisher
from buildkit.images.sheet import Sheet, write_sheet
from buildkit.oci.config import ImageConfig, RootFs
from buildkit.oci.layer import Entry
from buildkit.plan.units import Artifact, Kind, PushIndex, Unit
from buildkit.platform import Platform
from buildkit.registry.client import RegistryClient
from buildkit.registry.sending import Sender
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.fakes.registry import FakeRegistry, Fault
from tests.fakes.units import running

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
BLOB, MANIFEST = "PUT .*/blobs/uploads/", "PUT .*/manifests/sha256:"
TAG = r"PUT .*/manifests/(?!sha256:)"


class Press:
    """Makes images of files, and pushes them."""

    def __init__(self, folder: Path, store: Store, client: RegistryClient) -> None:
        self.folder = folder
        self.layers = layers_of(store)
        self.publisher = IndexPublisher(layers=self.layers, sender=Sender(registry=client))

    def image(self, name: str, platform: Platform, *contents: str, problem: str = "") -> Artifact:
        layers = []
        for content in contents:
            path = self.folder / f"{content}-{platform.slug}"
            path.write_text(f"{content} for {platform}" * 1000)
            layers.append(self.layers.describe([Entry(path=content, content=path)]))
        config = ImageConfig(
            architecture=platform.arch,
            os=platform.os,
            rootfs=RootFs(diff_ids=tuple(layer.diff_id for layer in layers)),
        )
        sheet = Sheet(config=config.encode().decode(), layers=tuple(layers), problem=problem)
        path = self.folder / platform.slug / f"{name}.json"
        write_sheet(path, sheet)
        unit = f"image/{name}@{platform}"
        return Artifact(unit=unit, digest=str(sheet.id), size=1, path=path)

    def push(
        self,
        *references: str,
        images: tuple[Artifact, ...] = (),
        compress: bool = False,
        no_clobber: bool = False,
    ) -> Artifact:
        given = images or (self.image("app", AMD, "base", "app"), self.image("app", ARM, "app"))
        action = PushIndex(
            name="app",
            images=tuple(image.unit for image in given),
            references=references,
            compress=compress,
            no_clobber=no_clobber,
        )
        unit = Unit(kind=Kind.PUSH, name="app", platform=None, action=action)
        by_unit = {image.unit: image for image in given}
        (made,) = self.publisher.build((running(unit),), by_unit, lambda _: None)
        return made


@pytest.fixture
def press(tmp_path: Path, store: Store, client: RegistryClient) -> Press:
    return Press(tmp_path, store, client)


def order(registry: FakeRegistry) -> list[str]:
    """Return what was written, as one letter each: b(lob), m(anifest), t(ag)."""
    kinds = {"b": BLOB, "m": MANIFEST, "t": TAG}
    return [
        letter
        for seen in registry.seen
        for letter, pattern in kinds.items()
        if re.match(pattern, str(seen))
    ]


def test_every_tag_of_every_hub_names_the_same_index(
    press: Press, registry: FakeRegistry, other: FakeRegistry
) -> None:
    names = (f"{registry.host}/a/app:1", f"{registry.host}/a/app:2", f"{other.host}/app:1")
    made = press.push(*names)
    assert made.reference == names
    assert registry.tags("a/app") == {"1": made.digest, "2": made.digest}
    assert other.tags("app") == {"1": made.digest}
    listing = json.loads(other.look("app").manifests[made.digest][1])
    platforms = [item["platform"]["architecture"] for item in listing["manifests"]]
    assert platforms == ["amd64", "arm64"]


def test_blobs_go_to_each_hub_once_before_manifests_and_tags_come_last(
    press: Press, registry: FakeRegistry, other: FakeRegistry
) -> None:
    press.push(f"{registry.host}/app:1", f"{registry.host}/app:2", f"{other.host}/app:1")
    # Three layers and two configs.
    assert "".join(order(registry)) == "bbbbbmmtt"
    assert "".join(order(other)) == "bbbbbmmt"


def test_a_second_hub_that_fails_keeps_the_tags_of_the_first_where_they_are(
    press: Press, registry: FakeRegistry, other: FakeRegistry
) -> None:
    other.misbehave(Fault(MANIFEST, status=403, times=9))
    with pytest.raises(RegistryError, match="answered 403"):
        press.push(f"{registry.host}/app:1", f"{other.host}/app:1")
    assert registry.tags("app") == other.tags("app") == {}
    assert registry.count(TAG) == 0


def test_a_repository_of_the_same_registry_gets_its_blobs_by_mounting(
    press: Press, registry: FakeRegistry
) -> None:
    press.push(f"{registry.host}/a/app:1", f"{registry.host}/b/app:1")
    assert registry.count(BLOB) == 5
    assert registry.count("POST .*mount=") == 5
    assert registry.look("a/app").blobs == registry.look("b/app").blobs


def test_what_is_there_is_not_sent_again(press: Press, registry: FakeRegistry) -> None:
    first = press.push(f"{registry.host}/app:1")
    registry.seen.clear()
    assert press.push(f"{registry.host}/app:2").digest == first.digest
    assert "".join(order(registry)) == "t"


def clash(press: Press, host: str, *tags: str) -> None:
    press.push(*(f"{host}/app:{tag}" for tag in tags), images=(press.image("old", AMD, "old"),))


def test_no_clobber_names_every_tag_of_every_hub_and_writes_nothing(
    press: Press, registry: FakeRegistry, other: FakeRegistry
) -> None:
    clash(press, registry.host, "1")
    clash(press, other.host, "2")
    registry.seen.clear()
    names = [f"{fake.host}/app:{tag}" for fake in (registry, other) for tag in ("1", "2")]
    with pytest.raises(RegistryError) as caught:
        press.push(*names, no_clobber=True)
    assert caught.value.brief == "2 tags exist as something else"
    named = [line.split(" is ")[0] for line in caught.value.details.splitlines()]
    assert named == [names[0], names[3]]
    assert "--no-clobber" in caught.value.resolution
    assert order(registry) == []


def test_no_clobber_minds_neither_a_new_tag_nor_the_same_content(
    press: Press, registry: FakeRegistry
) -> None:
    first = press.push(f"{registry.host}/app:1", no_clobber=True)
    press.push(f"{registry.host}/app:1", f"{registry.host}/app:2", no_clobber=True)
    assert registry.tags("app") == {"1": first.digest, "2": first.digest}


def test_no_clobber_sees_a_tag_that_appears_while_blobs_are_sent(
    press: Press, registry: FakeRegistry
) -> None:
    clash(press, registry.host, "1")
    # The first look finds nothing, as if the tag had come after it.
    registry.misbehave(Fault("HEAD .*/manifests/1", status=404))
    with pytest.raises(RegistryError, match="a tag exists as something else"):
        press.push(f"{registry.host}/app:1", no_clobber=True)
    assert len(registry.look("app").manifests) == 4


def test_without_no_clobber_a_tag_moves(press: Press, registry: FakeRegistry) -> None:
    clash(press, registry.host, "1")
    moved = press.push(f"{registry.host}/app:1")
    assert registry.tags("app") == {"1": moved.digest}


def test_pushes_of_one_image_at_the_same_time_end_alike(
    press: Press, registry: FakeRegistry
) -> None:
    images = (press.image("app", AMD, "base", "app"),)
    name = f"{registry.host}/app:1"

    def run(_: int) -> str:
        return press.push(name, images=images, no_clobber=True).digest

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(run, range(8)))
    assert registry.tags("app") == {"1": digests.pop()}
    assert not digests
    assert registry.count(BLOB) == 3


def move_tag(press: Press, registry: FakeRegistry) -> None:
    clash(press, registry.host, "old")
    registry.repository("app").tags["1"] = registry.tags("app")["old"]


def drop_platform(press: Press, registry: FakeRegistry) -> None:
    del press
    held = registry.repository("app")
    held.tags["1"] = next(
        digest for digest, (kind, _) in held.manifests.items() if "index" not in kind
    )


@pytest.mark.parametrize("spoil", [move_tag, drop_platform])
def test_another_content_found_when_reading_back_is_refused(
    press: Press,
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Press, FakeRegistry], None],
) -> None:
    put = press.publisher.sender.registry.put_index

    def put_and_spoil(*arguments: Any) -> Any:
        done = put(*arguments)
        if "spoilt" not in registry.content:
            registry.repository("spoilt")
            spoil(press, registry)
        return done

    monkeypatch.setattr(press.publisher.sender.registry, "put_index", put_and_spoil)
    with pytest.raises(VerificationError, match="is not what was pushed"):
        press.push(f"{registry.host}/app:1")


def test_an_image_that_could_not_work_is_not_pushed(press: Press, registry: FakeRegistry) -> None:
    broken = press.image("app", AMD, "app", problem="it starts /app, which is not in the image")
    with pytest.raises(VerificationError, match="image/app@linux/amd64 cannot work: it starts"):
        press.push(f"{registry.host}/app:1", images=(broken,))
    assert registry.seen == []


def test_a_registry_that_dies_in_mid_push_is_one_error_and_the_next_run_goes_on(
    press: Press, client: RegistryClient
) -> None:
    with FakeRegistry() as dying:
        name, port = f"{dying.host}/app:1", int(dying.host.rpartition(":")[2])
        clash(press, dying.host, "1")
        before = dying.tags("app")
        arrived = len(dying.look("app").blobs)
        # Two blobs get through, then nothing is answered any more.
        dying.misbehave(Fault(BLOB, reset=10, times=10_000, after=2))
        dying.misbehave(Fault("(HEAD|GET|POST) ", reset=0, times=10_000, after=12))
        with pytest.raises(RegistryError) as caught:
            press.push(name)
        assert caught.value.brief == f"{dying.host} does not answer"
        assert "Run the same command again" in caught.value.resolution
        assert dying.tags("app") == before
        assert len(dying.look("app").blobs) == arrived + 2
    with pytest.raises(RegistryError) as again:
        press.push(name)
    assert str(again.value) == str(caught.value)
    assert not client.answers(dying.host)
    # It is back, with what had arrived.
    with FakeRegistry(content=dying.content, port=port) as back:
        made = press.push(name)
        assert back.tags("app") == {"1": made.digest}
        assert back.count(BLOB) == 3
