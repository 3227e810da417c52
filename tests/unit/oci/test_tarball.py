from __future__ import annotations

import json
import tarfile
from pathlib import Path

from buildkit.digest import Digest
from buildkit.oci.image import History, Settings, image_config
from buildkit.oci.layer import file, write_layer
from buildkit.oci.tarball import write_docker_archive
from buildkit.platform import Platform


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {item.name: archive.extractfile(item).read() for item in archive}  # type: ignore[union-attr]


def test_an_archive_names_config_and_layers_by_their_digests(tmp_path: Path) -> None:
    layer = write_layer([file("a", b"x")], tmp_path / "layer.tar")
    config = image_config(Platform.parse("linux/arm64"), (layer.diff_id,))
    write_docker_archive(
        tmp_path / "image.tar",
        config=config,
        layers=((layer.diff_id, layer.path),),
        tags=("local/x:1",),
    )
    members = read(tmp_path / "image.tar")
    (image,) = json.loads(members["manifest.json"])
    assert image["RepoTags"] == ["local/x:1"]
    assert image["Config"] == f"{Digest.of_bytes(config).hex}.json"
    assert members[image["Config"]] == config
    assert [members[name] for name in image["Layers"]] == [layer.path.read_bytes()]
    assert json.loads(config)["rootfs"]["diff_ids"] == [str(layer.diff_id)]


def test_the_same_image_gives_the_same_archive(tmp_path: Path) -> None:
    config = image_config(Platform.parse("linux/amd64"), ())
    one, two = (
        write_docker_archive(tmp_path / name, config=config, layers=(), tags=("a:b",))
        for name in ("one", "two")
    )
    assert one.digest == two.digest


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
