"""What --envoy may be, and which platform it is filed under."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildkit.errors import FetchError, UsageError, VerificationError
from buildkit.pipeline.overriding import Given
from buildkit.plan.units import Override
from buildkit.platform import Platform
from tests.unit.build.elf import TEXT as CODE
from tests.unit.build.elf import make_elf
from tests.unit.plan.projects import TEXT, project

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
MAC = Platform("darwin", "arm64")
IMAGES = {AMD64: "docker.io/istio/proxyv2@sha256:1", ARM64: "docker.io/istio/proxyv2@sha256:2"}


def find(words: str) -> Mapping[Platform, str]:
    if words.endswith("proxyv2:1.22"):
        return IMAGES
    raise FetchError(f"there is no {words}", details="HTTP 404")


def filed(
    *given: str, platforms: tuple[Platform, ...] = (AMD64, ARM64, MAC), text: str = TEXT
) -> dict[Platform, Override]:
    world = Given(config=project(text).config, platforms=platforms, find_image=find)
    return dict(world.overrides(given))


@pytest.fixture
def files(tmp_path: Path) -> dict[Platform, str]:
    contents = {
        AMD64: make_elf(CODE),
        ARM64: make_elf(CODE, machine=183),
        MAC: struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(24),
    }
    for platform, content in contents.items():
        (tmp_path / platform.slug).write_bytes(content)
    return {platform: str(tmp_path / platform.slug) for platform in contents}


def test_each_file_is_filed_by_its_own_machine_type(files: dict[Platform, str]) -> None:
    expected = {platform: Override(words=text, path=Path(text)) for platform, text in files.items()}
    assert filed(*files.values()) == expected
    assert filed(",".join(files.values())) == expected


def test_an_image_stands_for_each_platform_that_it_has(files: dict[Platform, str]) -> None:
    words = "istio/proxyv2:1.22"
    found = filed(words, files[MAC])
    assert {platform: item.image for platform, item in found.items() if item.image} == IMAGES
    assert found[AMD64] == Override(words=words, image=IMAGES[AMD64])
    assert found[MAC].path == Path(files[MAC])
    assert list(filed(words, platforms=(ARM64,))) == [ARM64]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("./nowhere", "--envoy ./nowhere: there is no such file"),
        ("out/envoy", "--envoy out/envoy: there is no such file"),
        ("istio/proxyv2:9", "no such file, and no such image"),
    ],
)
def test_what_is_not_there_is_told(given: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        filed(given)
    assert message in caught.value.brief
    assert caught.value.resolution


def test_what_fits_no_platform_twice_or_nothing_is_refused(
    files: dict[Platform, str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is Mach-O for darwin/arm64"):
        filed(files[MAC], platforms=(AMD64,))
    with pytest.raises(UsageError, match="is an image for linux/amd64, linux/arm64"):
        filed("istio/proxyv2:1.22", platforms=(MAC,))
    with pytest.raises(UsageError, match="are both for linux/arm64"):
        filed(files[ARM64], "istio/proxyv2:1.22")
    with pytest.raises(UsageError, match="that is no file"):
        filed(str(tmp_path))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(VerificationError, match="not an executable"):
        filed(str(tmp_path / "text"))


def test_a_mesh_without_envoy_has_nothing_that_it_could_stand_for(
    files: dict[Platform, str],
) -> None:
    text = TEXT.replace("[fetch.envoy]", "[fetch.proxy]").replace('"envoy", "agent"', '"agent"')
    with pytest.raises(UsageError, match=r"there is no fetch\.envoy"):
        filed(files[AMD64], text=text)
