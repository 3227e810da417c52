"""Archives of images, and the configs in them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.oci.image import History, Settings, image_config
from buildkit.oci.layer import Entry, arrange, layer_blocks
from buildkit.oci.layout import Layout, layout_blobs, named
from buildkit.oci.tarball import docker_archive, oci_archive
from buildkit.oci.tarstream import Made
from buildkit.platform import Platform
from tests.fakes.images import random_index
from tests.fakes.tars import tar_files


def written(entries: tuple[Entry, ...]) -> dict[str, bytes]:
    """Return what a reader finds in an archive of some files."""
    data = io.BytesIO(b"".join(map(bytes, layer_blocks(arrange(entries)))))
    with tarfile.open(fileobj=data) as archive:
        return tar_files(archive)


def test_a_docker_archive_names_config_and_layers() -> None:
    config = image_config(Platform.parse("linux/arm64"), ())
    layers = (("one.tar", b"first"), ("two.tar", None), ("one.tar", b"first"))
    members = written(docker_archive(config, layers, ("local/x:1", "local/x:2")))
    (image,) = json.loads(members.pop("manifest.json"))
    assert image == {
        "Config": f"{Digest.of_bytes(config).hex}.json",
        "RepoTags": ["local/x:1", "local/x:2"],
        "Layers": ["one.tar", "two.tar", "one.tar"],
    }
    assert members == {image["Config"]: config, "one.tar": b"first"}


def test_an_oci_archive_is_a_layout(tmp_path: Path) -> None:
    index, images = random_index(Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))
    blobs = layout_blobs(index, images.values())
    contents = [(digest, blob.open().read()) for digest, blob in blobs.items()]
    entries = (named(index.descriptor, "a.example/x:1"), named(index.descriptor, "a.example/x:2"))
    for path, data in written(oci_archive(entries, contents)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    layout = Layout.open(tmp_path)
    assert layout.names == ("a.example/x:1", "a.example/x:2")
    for name in layout.names:
        root = layout.find(name)
        assert root is not None
        assert layout.reachable(root) == blobs.keys()
    for blob in blobs.values():
        assert layout.open_blob(blob.descriptor).read() == blob.open().read()


def test_content_that_is_shorter_than_announced_is_no_archive() -> None:
    cut = Made(open=lambda: io.BytesIO(b"123"), size=4)
    with pytest.raises(BuildError, match="3 bytes came where 4 were announced"):
        written(docker_archive(b"{}", (("one.tar", cut),), ()))


def test_a_config_says_platform_variant_time_and_history() -> None:
    config = json.loads(
        image_config(
            Platform.parse("linux/arm/v7"),
            (),
            settings=Settings(env=("A=b",), user="1337:1337", labels=(("k", "v"),)),
            history=(History(created_by="COPY x"), History(created_by="ENV", empty_layer=True)),
            epoch=86400,
        )
    )
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")
    assert config["created"] == "1970-01-02T00:00:00Z"
    assert config["config"] == {"Env": ["A=b"], "User": "1337:1337", "Labels": {"k": "v"}}
    assert [item.get("empty_layer", False) for item in config["history"]] == [False, True]


def test_a_platform_without_variant_has_none_in_its_config() -> None:
    assert "variant" not in json.loads(image_config(Platform.parse("linux/arm64"), ()))
