"""A program that lacks its version makes an image that no sink takes; any other does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.images.engine import ImageEngine
from buildkit.images.indexing import sheet_of
from buildkit.images.remote import RegistryImages
from buildkit.plan.units import Artifact
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.fakes.units import image, running
from tests.unit.build.elf import TEXT, make_elf

BASE, APP, TOOL = "base/scratch@linux/amd64", "binary/app@linux/amd64", "binary/tool@linux/amd64"
TEMPLATE = 'FROM {{ base }}\nCOPY app tool /bin/\nENTRYPOINT ["/bin/app"]\n'


def never(*_: object) -> Any:
    raise AssertionError


class Bench:
    """Assembles one image of two programs."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        (folder / "Dockerfile.j2").write_text(TEMPLATE)
        self.engine = ImageEngine(
            layers=layers_of(store),
            remote=RegistryImages(registry=never),
            folder=folder / "images",
            project="mesh",
            volatile=dict,
            epoch=lambda: 0,
            docker=never,
            buildx=never,
            buildx_problem=never,
            client=never,
            tell=never,
        )

    def program(self, unit: str, *, machine: int = 62, problem: str = "") -> Artifact:
        path = self.folder / unit.partition("/")[2].partition("@")[0]
        path.write_bytes(make_elf(TEXT, machine=machine) + unit.encode())
        digest = str(Digest.of_file(path))
        return Artifact(unit=unit, digest=digest, size=1, path=path, problem=problem)

    def build(self, *programs: Artifact) -> Artifact:
        unit = image("app", BASE, needs=(APP, TOOL), template=self.folder / "Dockerfile.j2")
        given = {program.unit: program for program in programs}
        given[BASE] = Artifact(unit=BASE, digest="", size=0)
        (made,) = self.engine.build((running(unit),), given, lambda _: None)
        return made


@pytest.fixture
def bench(tmp_path: Path, store: Store) -> Bench:
    return Bench(tmp_path, store)


def test_an_image_of_good_programs_is_taken(bench: Bench) -> None:
    made = bench.build(bench.program(APP), bench.program(TOOL, problem="lacks '1'"))
    assert sheet_of(made).problem == ""


def test_the_program_that_a_container_starts_must_hold_its_version(bench: Bench) -> None:
    made = bench.build(bench.program(APP, problem="lacks '1' in main.v"), bench.program(TOOL))
    with pytest.raises(VerificationError) as caught:
        sheet_of(made)
    words = "image/app@linux/amd64 cannot work: its program app lacks '1' in main.v"
    assert caught.value.brief == words
    assert "[stamps]" in caught.value.resolution


def test_every_program_must_be_for_the_platform(bench: Bench) -> None:
    made = bench.build(bench.program(APP), bench.program(TOOL, machine=183))
    with pytest.raises(VerificationError, match=r"/bin/tool \(ELF for linux/arm64\)"):
        sheet_of(made)
