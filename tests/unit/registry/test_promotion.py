"""Images copied by digest: whole, in order, once, and on from where a run broke."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.digest import canonical_json
from buildkit.errors import AuthError, BuildError, RegistryError, UsageError, VerificationError
from buildkit.http import HttpPool
from buildkit.oci.layout import INDEX_FILE, MARKER, MARKER_FILE, Layout, layout_index, named
from buildkit.oci.model import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_LAYER_GZIP,
    Descriptor,
    Image,
    Index,
    Layer,
)
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import Credential
from buildkit.registry.originals import Original, in_layout, in_registry
from buildkit.registry.promotion import (
    Change,
    Promoted,
    Promotion,
    check_promotions,
    preview,
    promote,
)
from buildkit.registry.sending import Sender
from tests.fakes.images import random_image, random_index
from tests.fakes.registry import FakeRegistry, Fault, Login, Logins

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
BLOB, MANIFEST = "PUT .*/blobs/uploads/", "PUT .*/manifests/sha256:"
TAG = r"PUT .*/manifests/(?!sha256:)"


class Market:
    """A source and a destination, and one sender as a run has it."""

    def __init__(self, source: FakeRegistry, target: FakeRegistry, client: RegistryClient) -> None:
        self.source, self.target, self.client = source, target, client
        self.sender = Sender(registry=client)

    def put(self, name: str, index: Index, images: dict[Platform, Image]) -> Reference:
        """Place an image at the source."""
        reference = Reference.parse(f"{self.source.host}/{name}")
        held = self.source.repository(reference.repository)
        for image in images.values():
            held.blobs[str(image.config_descriptor.digest)] = image.config
            held.manifests[str(image.descriptor.digest)] = (image.media_type, image.manifest)
            for layer in image.layers:
                held.blobs[str(layer.descriptor.digest)] = layer.open().read()
        held.manifests[str(index.descriptor.digest)] = (index.media_type, index.data)
        held.tags[reference.tag] = str(index.descriptor.digest)
        return reference

    def original(self, name: str = "pilot:1", seed: int = 0) -> Original:
        return in_registry(self.client, self.put(name, *random_index(AMD, ARM, seed=seed)))

    def at(self, name: str) -> Reference:
        return Reference.parse(f"{self.target.host}/{name}")

    def promote(self, *promotions: Promotion, no_clobber: bool = False) -> tuple[Promoted, ...]:
        return promote(promotions, self.sender, lambda _: None, no_clobber=no_clobber)


@pytest.fixture
def market(registry: FakeRegistry, client: RegistryClient) -> object:
    with FakeRegistry() as target:
        yield Market(registry, target, client)


def order(registry: FakeRegistry) -> str:
    kinds = {"b": BLOB, "m": MANIFEST, "t": TAG}
    return "".join(
        letter
        for seen in registry.seen
        for letter, pattern in kinds.items()
        if re.match(pattern, str(seen))
    )


def test_a_copy_has_the_digest_and_every_byte_of_its_original(market: Market) -> None:
    original = market.original("team/pilot:1")
    (done,) = market.promote(Promotion(original=original, tag=market.at("mesh/pilot:2")))
    assert done.change is Change.NEW
    assert done.before is None
    assert done.after == original.root.descriptor.digest
    source, target = market.source.look("team/pilot"), market.target.look("mesh/pilot")
    assert (target.blobs, target.manifests) == (source.blobs, source.manifests)
    assert target.tags == {"2": str(done.after)}


def test_tags_move_when_everything_of_every_image_is_there(market: Market) -> None:
    promotions = [
        Promotion(original=market.original(f"{name}:1", seed), tag=market.at(f"{name}:1"))
        for seed, name in enumerate(("pilot", "proxy"))
    ]
    market.promote(*promotions)
    # Two images of two platforms: two layers and a config each, a manifest each and an index.
    assert order(market.target) == "b" * 12 + "m" * 6 + "t" * 2


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_registries_that_ask_who_is_there_are_told(pool: HttpPool, scheme: str) -> None:
    login = Login(scheme=scheme)
    credential = Credential(username=login.username, secret=login.password)
    client = RegistryClient(pool=pool, credentials=Logins(credential))
    with FakeRegistry(login=login) as source, FakeRegistry(login=login) as target:
        market = Market(source, target, client)
        original = market.original()
        near = Reference.parse(f"{source.host}/release/pilot:1")
        tags = (near, market.at("pilot:1"))
        done = market.promote(*(Promotion(original=original, tag=tag) for tag in tags))
        assert {item.after for item in done} == {original.root.descriptor.digest}
        assert source.count(BLOB) == 0
        assert target.count(f"{BLOB}.*digest=") == 6


def test_a_destination_that_refuses_the_account_says_so(market: Market) -> None:
    original = market.original()
    with FakeRegistry(login=Login(scheme="basic")) as closed:
        tag = Reference.parse(f"{closed.host}/pilot:1")
        with pytest.raises(AuthError, match=closed.host):
            market.promote(Promotion(original=original, tag=tag))
        assert closed.content == {}


def test_what_is_there_is_not_sent_and_a_tag_that_is_right_not_written(market: Market) -> None:
    promotion = Promotion(original=market.original(), tag=market.at("pilot:1"))
    market.promote(promotion)
    market.target.seen.clear()
    (again,) = market.promote(promotion)
    assert again.change is Change.SAME
    assert again.before == again.after == promotion.digest
    assert order(market.target) == ""
    more = Promotion(original=promotion.original, tag=market.at("pilot:2"))
    assert market.promote(more)[0].change is Change.NEW
    assert order(market.target) == "t"


def test_within_one_registry_blobs_are_mounted(market: Market) -> None:
    original = market.original()
    tag = Reference.parse(f"{market.source.host}/release/pilot:1")
    market.promote(Promotion(original=original, tag=tag))
    assert market.source.count(BLOB) == 0
    assert market.source.count("POST .*mount=") == 6
    assert market.source.look("release/pilot").blobs == market.source.look("pilot").blobs


def test_one_image_at_several_places_is_read_and_sent_for_each(
    market: Market, client: RegistryClient
) -> None:
    original = market.original()
    with FakeRegistry() as third:
        tags = (market.at("a/pilot:1"), Reference.parse(f"{third.host}/pilot:1"))
        done = market.promote(*(Promotion(original=original, tag=tag) for tag in tags))
        assert {item.after for item in done} == {original.root.descriptor.digest}
        assert third.look("pilot").blobs == market.target.look("a/pilot").blobs
        assert client.tags(tags[1]) == ("1",)


DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def docker_image(platform: Platform) -> Image:
    image = random_image(platform)
    layers = [
        replace(layer.descriptor, media_type=DOCKER_LAYER_GZIP).to_json() for layer in image.layers
    ]
    config = replace(image.config_descriptor, media_type=DOCKER_CONFIG).to_json()
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config,
        "layers": layers,
    }
    return replace(image, manifest=json.dumps(manifest).encode(), media_type=DOCKER_MANIFEST)


def test_dockers_own_format_is_copied_as_it_is(market: Market) -> None:
    images = {platform: docker_image(platform) for platform in (AMD, ARM)}
    index = Index.of(
        tuple(replace(image.descriptor, platform=key) for key, image in images.items())
    )
    original = in_registry(market.client, market.put("pilot:1", index, images))
    (done,) = market.promote(Promotion(original=original, tag=market.at("pilot:1")))
    assert market.target.look("pilot").manifests[str(done.after)][0] == DOCKER_LIST
    assert market.target.look("pilot").manifests == market.source.look("pilot").manifests


def test_one_platform_and_a_digest_are_images_too(market: Market) -> None:
    original = market.original()
    single = original.documents[0].descriptor.digest
    reference = Reference.parse(f"{market.source.host}/pilot@{single}")
    alone = in_registry(market.client, reference)
    (done,) = market.promote(Promotion(original=alone, tag=market.at("pilot:amd64")))
    assert done.after == single
    assert len(market.target.look("pilot").manifests) == 1


def test_a_layer_that_lives_elsewhere_is_named_and_not_copied(market: Market) -> None:
    image = random_image(AMD)
    value = json.loads(image.manifest)
    elsewhere = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    value["layers"][0]["mediaType"] = elsewhere
    odd = replace(image, manifest=canonical_json(value))
    index = Index.of((replace(odd.descriptor, platform=AMD),))
    original = in_registry(market.client, market.put("pilot:1", index, {AMD: odd}))
    blobs = original.documents[0].blobs
    assert elsewhere not in {blob.media_type for blob in blobs}
    assert len(blobs) == 2


def test_no_clobber_names_every_tag_before_anything_is_written(market: Market) -> None:
    for name in ("pilot", "proxy"):
        held = market.target.repository(name)
        held.manifests["sha256:" + "1" * 64] = (DOCKER_LIST, b"{}")
        held.tags["1"] = "sha256:" + "1" * 64
    promotions = tuple(
        Promotion(original=market.original(f"{name}:1", seed), tag=market.at(f"{name}:1"))
        for seed, name in enumerate(("pilot", "proxy", "new"))
    )
    with pytest.raises(RegistryError, match="2 tags exist as something else") as caught:
        market.promote(*promotions, no_clobber=True)
    assert len(caught.value.details.splitlines()) == 2
    assert order(market.target) == ""
    moved = market.promote(*promotions)
    assert [item.change for item in moved] == [Change.MOVED, Change.MOVED, Change.NEW]
    assert str(moved[0].before) == "sha256:" + "1" * 64


def test_a_preview_writes_nothing(market: Market) -> None:
    promotion = Promotion(original=market.original(), tag=market.at("pilot:1"))
    (found,) = preview([promotion], market.sender, no_clobber=False)
    assert (found.change, found.after) == (Change.NEW, None)
    assert market.target.content == {}


def gzipped(image: Image) -> Image:
    """Return an image whose layers are called compressed."""
    layers = tuple(
        Layer(
            descriptor=replace(layer.descriptor, media_type=OCI_LAYER_GZIP),
            diff_id=layer.diff_id,
            open=layer.open,
        )
        for layer in image.layers
    )
    return Image.of(image.config, layers)


def test_uncompressed_layers_leave_this_machine_only_as_they_are(market: Market) -> None:
    plain = market.original()
    there = Reference.parse("registry.example.com/pilot:1")
    away = Promotion(original=plain, tag=there)
    with pytest.raises(UsageError, match="there are layers that are not compressed") as caught:
        check_promotions([away], as_is=False)
    assert "--stamp" in caught.value.resolution
    assert "--as-is" in caught.value.resolution
    check_promotions([away], as_is=True)
    check_promotions([Promotion(original=plain, tag=market.at("pilot:1"))], as_is=False)
    image = gzipped(random_image(AMD))
    index = Index.of((replace(image.descriptor, platform=AMD),))
    packed = in_registry(market.client, market.put("packed:1", index, {AMD: image}))
    check_promotions([Promotion(original=packed, tag=there)], as_is=False)


def test_one_tag_for_two_images_is_refused(market: Market) -> None:
    tag = market.at("pilot:1")
    one, two = market.original("pilot:1", 1), market.original("pilot:2", 2)
    check_promotions([Promotion(original=one, tag=tag)] * 2, as_is=False)
    with pytest.raises(UsageError, match="would name two images"):
        check_promotions([Promotion(original=item, tag=tag) for item in (one, two)], as_is=False)


@pytest.mark.parametrize("flaw", [{"flip": True}, {"cut": 100}, {"status": 404}])
def test_a_blob_that_is_damaged_at_the_source_moves_no_tag(
    market: Market, flaw: dict[str, Any]
) -> None:
    promotion = Promotion(original=market.original(), tag=market.at("pilot:1"))
    market.source.misbehave(Fault("GET .*/blobs/", times=99, **flaw))
    with pytest.raises(RegistryError, match="cannot read sha256:"):
        market.promote(promotion)
    assert market.target.tags("pilot") == {}


def test_a_manifest_that_the_source_lacks_is_told(market: Market) -> None:
    reference = market.put("pilot:1", *random_index(AMD, ARM))
    held = market.source.repository("pilot")
    del held.manifests[str(random_image(ARM).descriptor.digest)]
    with pytest.raises(RegistryError, match="answered 404"):
        in_registry(market.client, reference)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        (DOCKER_LIST, b'{"manifests": [{}]}'),
        (DOCKER_MANIFEST, b'{"layers": []}'),
        (DOCKER_MANIFEST, b"[]"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}"),
    ],
)
def test_what_is_no_image_is_refused(market: Market, media_type: str, data: bytes) -> None:
    held = market.source.repository("pilot")
    digest = str(Descriptor.of(media_type, data).digest)
    held.manifests[digest] = (media_type, data)
    held.tags["1"] = digest
    with pytest.raises(RegistryError, match="is no image that can be copied"):
        in_registry(market.client, Reference.parse(f"{market.source.host}/pilot:1"))


def test_a_run_after_a_destination_died_goes_on(market: Market, client: RegistryClient) -> None:
    original = market.original()
    with FakeRegistry() as dying:
        tag = Reference.parse(f"{dying.host}/pilot:1")
        dying.misbehave(Fault(BLOB, reset=10, times=10_000, after=2))
        dying.misbehave(Fault("(HEAD|GET|POST) ", reset=0, times=10_000, after=18))
        with pytest.raises(RegistryError, match=f"{dying.host} does not answer"):
            market.promote(Promotion(original=original, tag=tag))
        assert dying.tags("pilot") == {}
        assert len(dying.look("pilot").blobs) == 2
        port = int(dying.host.rpartition(":")[2])
    with FakeRegistry(content=dying.content, port=port) as back:
        (done,) = promote(
            (Promotion(original=original, tag=tag),),
            Sender(registry=client),
            lambda _: None,
            no_clobber=False,
        )
        assert done.after == original.root.descriptor.digest
        assert back.count(BLOB) == 4


def test_a_tag_that_somebody_else_moves_meanwhile_is_found(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion = Promotion(original=market.original(), tag=market.at("pilot:1"))
    put = market.client.put_manifest

    def put_and_move(reference: Reference, data: bytes, media_type: str) -> Descriptor:
        done = put(reference, data, media_type)
        if reference.tag:
            held = market.target.repository("pilot")
            held.tags["1"] = str(promotion.original.documents[0].descriptor.digest)
        return done

    monkeypatch.setattr(market.client, "put_manifest", put_and_move)
    with pytest.raises(VerificationError, match="is not what was copied"):
        market.promote(promotion)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    index, images = random_index(AMD, ARM)
    parts = [index.data]
    for image in images.values():
        parts += [image.manifest, image.config, *(layer.open().read() for layer in image.layers)]
    for data in parts:
        path = tmp_path / "blobs" / "sha256" / Descriptor.of("", data).digest.hex
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / MARKER_FILE).write_bytes(MARKER)
    entry = named(index.descriptor, "localhost:5000/pilot:1")
    (tmp_path / INDEX_FILE).write_bytes(layout_index((entry,)))
    return Layout.open(tmp_path)


def test_an_image_of_a_layout_is_copied_with_its_digest(market: Market, layout: Layout) -> None:
    original = in_layout(layout, layout.entries[0], "pilot:1")
    (done,) = market.promote(Promotion(original=original, tag=market.at("pilot:1")))
    assert done.after == layout.entries[0].digest
    assert len(market.target.look("pilot").blobs) == 6


def test_a_damaged_layout_moves_no_tag(market: Market, layout: Layout) -> None:
    original = in_layout(layout, layout.entries[0], "pilot:1")
    blob = original.documents[0].blobs[-1]
    layout.blob(blob.digest).write_bytes(io.BytesIO(b"x" * blob.size).read())
    with pytest.raises(BuildError, match="is not what it should be"):
        market.promote(Promotion(original=original, tag=market.at("pilot:1")))
    assert market.target.tags("pilot") == {}
