"""What is attached to an image goes along, before any tag, and joins what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import RegistryError
from buildkit.oci.attachment import Attachment, Content
from buildkit.oci.model import Descriptor
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.attached import Attached, find_attached
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import in_registry
from buildkit.registry.promotion import Promoted, Promotion
from buildkit.registry.signature_tags import kept_layers, signature_tag, write_layers
from tests.fakes.images import random_index
from tests.fakes.registry import FakeRegistry, Fault
from tests.unit.registry.test_promotion import Market

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"


class Shop(Market):
    """A market whose image has attachments."""

    def image(self) -> Reference:
        return self.put("team/pilot:1", *random_index(AMD, ARM))

    def attach(self, place: Reference, subject: Digest, text: str = "said") -> Descriptor:
        about = self.client.head_manifest(place.with_digest(subject))
        assert about is not None
        found = Attachment.of(about, SBOM, (Content.of(SBOM, text.encode()),), {"about": text})
        return self.client.referrers.attach(place, found)

    def go(self, source: Reference, name: str = "mesh/pilot:2") -> Promoted:
        original = in_registry(self.client, source)
        attached = find_attached(self.client, original)
        (done,) = self.promote(Promotion(original=original, tag=self.at(name), attached=attached))
        return done

    def listed(self, place: Reference, subject: Digest) -> list[Descriptor]:
        return list(self.client.referrers.find(place, subject))


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)])
def shop(request: pytest.FixtureRequest, client: RegistryClient) -> Iterator[Shop]:
    with (
        FakeRegistry(has_referrers=request.param[0]) as source,
        FakeRegistry(has_referrers=request.param[1]) as target,
    ):
        yield Shop(source, target, client)


@pytest.fixture
def plain(client: RegistryClient) -> Iterator[Shop]:
    with FakeRegistry() as source, FakeRegistry(has_referrers=False) as target:
        yield Shop(source, target, client)


def digests(shop: Shop, image: Reference) -> list[Digest]:
    return [item.descriptor.digest for item in in_registry(shop.client, image).documents]


def test_index_and_platforms_keep_what_is_attached_to_them(shop: Shop) -> None:
    image = shop.image()
    wanted = {digest: [shop.attach(image, digest, str(digest))] for digest in digests(shop, image)}
    done = shop.go(image)
    place = done.promotion.tag
    assert {digest: shop.listed(place, digest) for digest in wanted} == wanted
    for (entry,) in wanted.values():
        source = shop.client.get_manifest(image.with_digest(entry.digest))
        assert shop.client.get_manifest(place.with_digest(entry.digest)) == source
        layer = Descriptor.from_json(json.loads(source.data)["layers"][0])
        assert shop.client.blobs.read(place, layer, limit=100)


def test_what_is_attached_to_an_attachment_comes_along(shop: Shop) -> None:
    image = shop.image()
    sbom = shop.attach(image, digests(shop, image)[-1])
    signature = shop.attach(image, sbom.digest, "signed")
    place = shop.go(image).promotion.tag
    assert shop.listed(place, sbom.digest) == [signature]


def test_everything_is_attached_before_the_tag_is_written(shop: Shop) -> None:
    image = shop.image()
    for digest in digests(shop, image):
        shop.attach(image, digest)
    shop.go(image)
    written = [str(seen) for seen in shop.target.seen if str(seen).startswith("PUT")]
    assert re.search(r"/manifests/2$", written[-1])
    assert len([line for line in written if re.search(r"/manifests/2$", line)]) == 1


def test_a_repeat_writes_nothing(shop: Shop) -> None:
    image = shop.image()
    shop.attach(image, digests(shop, image)[0])
    shop.go(image)
    shop.target.seen.clear()
    shop.go(image)
    assert shop.target.count("(PUT|POST) ") == 0


def test_what_others_attached_there_stays(shop: Shop) -> None:
    image = shop.image()
    root = digests(shop, image)[-1]
    place = shop.go(image).promotion.tag
    theirs, ours = shop.attach(place, root, "theirs"), shop.attach(image, root, "ours")
    shop.go(image)
    assert set(shop.listed(place, root)) == {theirs, ours}


def test_an_attachment_that_was_sent_and_not_listed_is_listed(plain: Shop) -> None:
    image = plain.image()
    root = digests(plain, image)[-1]
    entry = plain.attach(image, root)
    dies = Fault(f"PUT .*/manifests/sha256-{root.hex}", status=500, times=99)
    plain.target.misbehave(dies)
    with pytest.raises(RegistryError):
        plain.go(image)
    assert str(entry.digest) in plain.target.look("mesh/pilot").manifests
    assert plain.target.tags("mesh/pilot") == {}
    plain.target._faults.clear()  # noqa: SLF001 - the fault is over
    place = plain.go(image).promotion.tag
    assert plain.listed(place, root) == [entry]


def test_an_attachment_that_cannot_be_read_moves_no_tag(plain: Shop) -> None:
    image = plain.image()
    entry = plain.attach(image, digests(plain, image)[-1])
    (layer,) = json.loads(plain.client.get_manifest(image.with_digest(entry.digest)).data)["layers"]
    plain.source.misbehave(Fault(f"GET .*/blobs/{layer['digest']}", flip=True, times=99))
    with pytest.raises(RegistryError, match="cannot read sha256:"):
        plain.go(image)
    assert plain.target.tags("mesh/pilot") == {}


def sign(shop: Shop, place: Reference, digest: Digest, text: str) -> dict[str, object]:
    content = Content.of("application/vnd.dev.cosign.simplesigning.v1+json", text.encode())
    shop.client.blobs.push(place, content.descriptor, content.open)
    layer = {**content.descriptor.to_json(), "annotations": {"signature": text}}
    tag = place.with_tag(signature_tag(digest, "sig"))
    write_layers(shop.client, tag, [*kept_layers(shop.client, tag), layer])
    return layer


def test_cosigns_own_tags_are_copied_and_joined(plain: Shop) -> None:
    image = plain.image()
    root = digests(plain, image)[-1]
    ours = sign(plain, image, root, "ours")
    place = plain.go(image).promotion.tag
    tag = signature_tag(root, "sig")
    assert plain.target.tags("mesh/pilot")[tag] == plain.source.tags("team/pilot")[tag]
    theirs = sign(plain, place, root, "theirs")
    more = sign(plain, image, root, "more")
    plain.go(image)
    assert kept_layers(plain.client, place.with_tag(tag)) == [ours, theirs, more]
    plain.target.seen.clear()
    plain.go(image)
    assert plain.target.count("(PUT|POST) ") == 0


def test_an_image_without_attachments_has_none(plain: Shop) -> None:
    original = in_registry(plain.client, plain.image())
    assert find_attached(plain.client, original) == ()
    assert find_attached(plain.client, replace(original, origin="")) == ()


def test_what_is_listed_and_not_there_is_an_error(plain: Shop) -> None:
    image = plain.image()
    entry = plain.attach(image, digests(plain, image)[-1])
    plain.source.misbehave(Fault(f"GET .*/manifests/{entry.digest}", status=404, times=9))
    with pytest.raises(RegistryError, match="answered 404"):
        find_attached(plain.client, in_registry(plain.client, image))


def test_each_attachment_is_found_once(plain: Shop) -> None:
    image = plain.image()
    for digest in digests(plain, image):
        plain.attach(image, digest, "a")
    found: tuple[Attached, ...] = find_attached(plain.client, in_registry(plain.client, image))
    assert len({item.root.descriptor.digest for item in found}) == len(found) == 3
