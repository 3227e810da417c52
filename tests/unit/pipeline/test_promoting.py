"""`promote SRC DST`: what the words mean, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buildkit.errors import ConfigError, RegistryError, UsageError
from buildkit.oci.layout import INDEX_FILE, MARKER, MARKER_FILE, layout_index, named
from buildkit.oci.model import Descriptor
from buildkit.pipeline.promoting import is_reference, run_promote
from buildkit.plan.options import Options
from buildkit.plan.unlocked import LABEL
from buildkit.platform import Platform
from tests.fakes.images import random_index
from tests.fakes.registry import FakeRegistry

AMD = Platform.parse("linux/amd64")
TEXT = """\
schema_version = 1
[project]
name = "mesh"
release_hub = "docker.io/istio"
[version]
fallback = "1.4.0"
[matrix]
platforms = ["linux/amd64"]
[bases.static]
kind = "static"
[images.pilot]
base = ["static"]
[images.proxy]
base = ["static"]
"""


class Shop:
    """A project, a registry with its images, and one to bring them to."""

    def __init__(self, root: Path, source: FakeRegistry, target: FakeRegistry) -> None:
        self.root, self.source, self.target = root, source, target
        (root / "targets.toml").write_text(TEXT)
        for name in ("pilot", "proxy"):
            path = root / "images" / name / "Dockerfile.j2"
            path.parent.mkdir(parents=True)
            path.write_text("FROM {{ base }}\n")
        self.digests = {
            name: self.place(f"{name}:latest", seed) for seed, name in enumerate(("pilot", "proxy"))
        }

    def place(self, name: str, seed: int, prefix: str = "", **labels: str) -> str:
        index, images = random_index(AMD, seed=seed, labels=tuple(labels.items()))
        repository, _, tag = name.partition(":")
        held = self.source.repository(prefix + repository)
        for image in images.values():
            held.blobs[str(image.config_descriptor.digest)] = image.config
            held.manifests[str(image.descriptor.digest)] = (image.media_type, image.manifest)
            for layer in image.layers:
                held.blobs[str(layer.descriptor.digest)] = layer.open().read()
        digest = str(index.descriptor.digest)
        held.manifests[digest] = (index.media_type, index.data)
        held.tags[tag] = digest
        return digest

    def layout(self, *names: str) -> str:
        """Write the source's manifests and blobs as a layout, under these names."""
        folder = self.root / "out" / "oci"
        entries = []
        for repository in self.source.content.values():
            contents = [*repository.blobs.values(), *(d for _, d in repository.manifests.values())]
            for data in contents:
                path = folder / "blobs" / "sha256" / Descriptor.of("", data).digest.hex
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        for name in names:
            digest = self.digests[name.rpartition("/")[2].partition(":")[0]]
            held = self.source.look(name.rpartition("/")[2].partition(":")[0])
            media_type, data = held.manifests[digest]
            entries.append(named(Descriptor.of(media_type, data), name))
        (folder / MARKER_FILE).write_bytes(MARKER)
        (folder / INDEX_FILE).write_bytes(layout_index(tuple(entries)))
        return str(folder)

    def promote(self, source: str, target: str, **flags: Any) -> None:
        options = Options(targets=str(self.root / "targets.toml"), **flags)
        run_promote(options, source, target)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeRegistry() as source, FakeRegistry() as target:
        yield Shop(tmp_path, source, target)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:5000/pilot:latest", True),
        ("docker.io/istio/pilot@sha256:" + "0" * 64, True),
        ("pilot:latest", True),
        ("localhost:5000", False),
        ("[::1]:5000", False),
        ("localhost:5000/team", False),
        ("docker.io/istio", False),
    ],
)
def test_a_reference_has_a_tag_or_a_digest(text: str, *, expected: bool) -> None:
    assert is_reference(text) is expected


def test_the_chosen_variants_of_a_hub_keep_their_suffixes_under_a_new_tag(shop: Shop) -> None:
    text = TEXT.replace("[images.proxy]", "[images.proxy]\nvariants = false")
    (shop.root / "targets.toml").write_text(
        f'{text}[variants.default]\nsuffix = ""\n[variants.distroless]\n[variants.debug]\n'
    )
    distroless = shop.place("pilot:latest-distroless", 7)
    shop.promote(
        shop.source.host, shop.target.host, variant="default,distroless", new_tag="1.4,stable"
    )
    assert shop.target.tags("pilot") == {
        "1.4": shop.digests["pilot"],
        "stable": shop.digests["pilot"],
        "1.4-distroless": distroless,
        "stable-distroless": distroless,
    }
    assert set(shop.target.tags("proxy")) == {"1.4", "stable"}


def test_a_hub_is_all_images_at_its_tag(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.promote(shop.source.host, f"{shop.target.host}/team", json=True)
    told = capsys.readouterr()
    document = json.loads(told.out)
    for name, digest in shop.digests.items():
        assert shop.target.tags(f"team/{name}") == {"latest": digest}
    assert [item["digest"] for item in document["images"]] == list(shop.digests.values())
    assert [item["digest_there"] for item in document["images"]] == list(shop.digests.values())
    assert {item["change"] for item in document["images"]} == {"new"}
    (warning,) = document["warnings"]
    assert warning == (
        "the binaries say that they come from docker.io/istio, "
        f"these images go to {shop.target.host}/team"
    )
    assert warning in told.err


def test_what_is_made_by_name_alone_is_promoted_by_name_alone(shop: Shop) -> None:
    text = TEXT.replace("[images.proxy]", "[images.proxy]\ndefault = false")
    (shop.root / "targets.toml").write_text(text)
    shop.promote(shop.source.host, shop.target.host)
    assert shop.target.tags("pilot") == {"latest": shop.digests["pilot"]}
    assert shop.target.tags("proxy") == {}
    shop.promote(shop.source.host, shop.target.host, only="proxy")
    assert shop.target.tags("proxy") == {"latest": shop.digests["proxy"]}


def test_an_image_that_holds_what_is_not_locked_is_told(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.place("proxy:latest", 9, **{LABEL: "envoy"})
    shop.promote(shop.source.host, shop.target.host, json=True)
    told = capsys.readouterr()
    (warning,) = [text for text in json.loads(told.out)["warnings"] if "not locked" in text]
    assert warning == f"{shop.source.host}/proxy:latest holds what is not locked: envoy"
    assert warning in told.err


def test_digests_before_and_after_are_printed(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.promote(f"{shop.source.host}/pilot:latest", shop.target.host)
    out = "".join(capsys.readouterr())
    assert out.count(shop.digests["pilot"]) == 2


def test_one_image_goes_to_a_hub_or_to_any_name(shop: Shop) -> None:
    source = f"{shop.source.host}/pilot:latest"
    places = f"{shop.target.host}/a,{shop.target.host}/b/control:2"
    shop.promote(source, places)
    assert shop.target.tags("a/pilot") == {"latest": shop.digests["pilot"]}
    assert shop.target.tags("b/control") == {"2": shop.digests["pilot"]}


def test_tags_at_the_destination_may_be_others(shop: Shop) -> None:
    shop.promote(shop.source.host, shop.target.host, new_tag="1.4.0,stable", only="proxy")
    digest = shop.digests["proxy"]
    assert shop.target.tags("proxy") == {"1.4.0": digest, "stable": digest}
    assert shop.target.tags("pilot") == {}


def test_the_tag_of_a_hub_can_be_chosen(shop: Shop) -> None:
    digest = shop.place("pilot:1.3.0", 7)
    shop.promote(shop.source.host, shop.target.host, tag="1.3.0", only="pilot")
    assert shop.target.tags("pilot") == {"1.3.0": digest}


def test_an_image_by_digest_needs_a_tag_to_get(shop: Shop) -> None:
    source = f"{shop.source.host}/pilot@{shop.digests['pilot']}"
    with pytest.raises(UsageError, match="has no tag to keep"):
        shop.promote(source, shop.target.host)
    shop.promote(source, shop.target.host, new_tag="1")
    assert shop.target.tags("pilot") == {"1": shop.digests["pilot"]}


def test_every_image_that_is_missing_is_named_and_nothing_is_written(shop: Shop) -> None:
    with pytest.raises(RegistryError, match="2 images are not there to be promoted") as caught:
        shop.promote(shop.source.host, shop.target.host, tag="none")
    assert caught.value.details.splitlines() == [
        f"{shop.source.host}/{name}:none" for name in ("pilot", "proxy")
    ]
    assert shop.target.seen == []


def test_a_dry_run_shows_and_writes_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.promote(shop.source.host, shop.target.host, dry_run=True, json=True)
    document = json.loads(capsys.readouterr().out)
    assert [item["change"] for item in document["images"]] == ["new", "new"]
    assert shop.target.content == {}


def test_an_image_layout_is_a_source_too(shop: Shop) -> None:
    folder = shop.layout("localhost:5000/pilot:latest", "localhost:5000/proxy:latest")
    shop.promote(folder, shop.target.host, new_tag="1.4.0")
    for name, digest in shop.digests.items():
        assert shop.target.tags(name) == {"1.4.0": digest}


def test_a_layout_of_several_tags_wants_to_know_which(shop: Shop) -> None:
    folder = shop.layout("localhost:5000/pilot:1", "localhost:5000/proxy:2")
    with pytest.raises(UsageError, match="has images of several tags") as caught:
        shop.promote(folder, shop.target.host)
    assert "--tag" in caught.value.resolution
    shop.promote(folder, shop.target.host, tag="2")
    assert shop.target.tags("proxy") == {"2": shop.digests["proxy"]}
    assert shop.target.tags("pilot") == {}
    with pytest.raises(UsageError, match="has no image for 3"):
        shop.promote(folder, shop.target.host, tag="3")


@pytest.mark.parametrize(
    ("source", "target", "flags", "words"),
    [
        ("{source}", "{target}/pilot:1", {}, "that is the name of one image"),
        ("{source}", ",", {}, "promote to nowhere"),
        ("nowhere/oci", "{target}", {}, "neither a directory nor a registry"),
        ("{source}", "{target}", {"only": "pilto"}, "--only pilto: no such image"),
        ("{source}", "{target}/pilot@sha256:" + "0" * 64, {}, "a digest is no destination"),
        ("{source}", "registry.example.com/team", {}, "there are layers that are not compressed"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    shop: Shop, source: str, target: str, flags: dict[str, Any], words: str
) -> None:
    hosts = {"source": shop.source.host, "target": shop.target.host}
    with pytest.raises(UsageError, match=words) as caught:
        shop.promote(source.format(**hosts), target.format(**hosts), **flags)
    assert caught.value.resolution or caught.value.details
    assert shop.target.seen == []


@pytest.mark.parametrize("target", ["UPPER/x", "http://localhost:5000"])
def test_a_destination_that_is_no_hub_is_refused(shop: Shop, target: str) -> None:
    with pytest.raises(ConfigError):
        shop.promote(shop.source.host, target)
