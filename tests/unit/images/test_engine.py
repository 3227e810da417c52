"""Which engine builds an image, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from buildkit.config.model import Image
from buildkit.errors import BuildError, BuildkitError, ConfigError
from buildkit.images.classic import BuildKitNeededError
from buildkit.images.daemon import silent
from buildkit.images.engine import ImageEngine
from buildkit.images.layers import Layers
from buildkit.images.loading import archive_entries
from buildkit.images.sheet import Sheet, read_sheet, write_sheet
from buildkit.oci.layer import file, layer_blocks
from buildkit.plan.units import (
    Artifact,
    BuildImage,
    EngineName,
    Kind,
    Progress,
    Step,
    Unit,
    Verdict,
)
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.golden import images

ARM = Platform.parse("linux/arm64")
COPY = "FROM {{ base }}\nCOPY notes /n\n"
RUN = COPY + "RUN make\n"


@dataclass(frozen=True, slots=True)
class Buildx:
    """The same daemon by its other builder."""

    world: World

    def build(self, steps: tuple[Step, ...], *_: object) -> tuple[Artifact, ...]:
        """Stand for the Docker engine's own."""
        self.world.by_buildx.extend(step.unit.id for step in steps)
        made = str(self.world.built.id)
        return tuple(Artifact(unit=step.unit.id, digest=made, size=1) for step in steps)


@dataclass(slots=True, kw_only=True)
class World:
    """An engine whose daemon has one image and builds it for every Dockerfile."""

    folder: Path
    layers: Layers
    built: Sheet
    told: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    by_buildx: list[str] = field(default_factory=list)
    buildx_problem: str = ""
    needs_buildkit: bool = False

    @property
    def api(self) -> World:
        return self

    def get_image(self, image: str) -> list[bytes]:
        """Stand for the daemon's own."""
        assert image == str(self.built.id)
        return [
            bytes(block)
            for block in layer_blocks(archive_entries(self.layers, self.built, ("a:b",)))
        ]

    def build(
        self, steps: tuple[Step, ...], given: Mapping[str, Artifact], progress: Progress
    ) -> tuple[Artifact, ...]:
        """Stand for the Docker engine's own."""
        del given, progress
        if self.needs_buildkit:
            raise BuildKitNeededError("line 2: RUN --mount needs BuildKit", details="RUN x")
        self.sent += [step.unit.id for step in steps]
        return tuple(
            Artifact(unit=step.unit.id, digest=str(self.built.id), size=1) for step in steps
        )

    def sheet(self, name: str, platform: Platform) -> Sheet:
        """Stand for a registry that has nothing."""
        raise BuildError(f"{name} does not exist for {platform}")

    def image(self, text: str, engine: EngineName) -> Sheet:
        """Build an image and return what it is made of."""
        (self.folder / "Dockerfile.j2").write_text(text)
        (self.folder / "notes").write_text("notes")
        base = self.folder / "base.json"
        write_sheet(base, images.base("full", ARM, self.layers))
        action = BuildImage(
            name="app",
            image=Image(base=("full",)),
            template=self.folder / "Dockerfile.j2",
            base="base/full",
            context=(("notes", f"file:{self.folder / 'notes'}"),),
            variables=(),
            labels=(),
            volatile_labels=(),
            engine=engine,
        )
        unit = Unit(kind=Kind.IMAGE, name="app", platform=ARM, action=action)
        given = {
            "base/full": Artifact(
                unit="base/full", path=base, digest="sha256:0", size=0, reference=("local/base:1",)
            )
        }
        step = Step(unit=unit, verdict=Verdict.RUN, reason="")
        (made,) = self.engine().build((step,), given, silent)
        assert made.path is not None
        return read_sheet(made.path)

    def engine(self) -> ImageEngine:
        return ImageEngine(
            layers=self.layers,
            remote=cast("Any", self),
            folder=self.folder / "images",
            project="test",
            volatile=dict,
            epoch=lambda: 0,
            docker=lambda: cast("Any", self),
            buildx=lambda: cast("Any", Buildx(self)),
            buildx_problem=lambda: self.buildx_problem,
            client=lambda: cast("Any", self),
            tell=self.told.append,
        )


@pytest.fixture
def world(tmp_path: Path, store: Store) -> World:
    layers = layers_of(store)
    return World(folder=tmp_path, layers=layers, built=images.base("other", ARM, layers))


@pytest.mark.parametrize("engine", [EngineName.AUTO, EngineName.OCI])
def test_without_run_no_daemon_is_asked(world: World, engine: EngineName) -> None:
    sheet = world.image(COPY, engine)
    assert len(sheet.layers) == 3
    assert (world.told, world.sent) == ([], [])


def test_auto_goes_to_docker_with_run_and_says_so(world: World) -> None:
    sheet = world.image(RUN, EngineName.AUTO)
    assert sheet.id == world.built.id
    assert world.sent == ["image/app@linux/arm64"]
    (said,) = world.told
    assert said.startswith("image/app@linux/arm64 is built by Docker: ")
    assert "Dockerfile.j2, line 3: RUN needs a daemon" in said


def test_oci_refuses_run_by_line(world: World) -> None:
    with pytest.raises(ConfigError, match="line 3: RUN needs a daemon") as caught:
        world.image(RUN, EngineName.OCI)
    assert "--engine auto" in caught.value.resolution
    assert (world.told, world.sent) == ([], [])
    assert not (world.folder / "images").exists()


def test_docker_is_used_where_it_is_asked_for(world: World) -> None:
    assert world.image(COPY, EngineName.DOCKER).id == world.built.id
    assert world.told == []


def test_buildx_is_used_where_it_is_asked_for(world: World) -> None:
    assert world.image(COPY, EngineName.BUILDX).id == world.built.id
    assert (world.by_buildx, world.sent) == (["image/app@linux/arm64"], [])


def test_auto_goes_to_buildx_for_what_the_classic_builder_refuses(world: World) -> None:
    world.needs_buildkit = True
    assert world.image(RUN, EngineName.AUTO).id == world.built.id
    assert world.by_buildx == ["image/app@linux/arm64"]
    assert world.told[-1].endswith("is built by buildx: line 2: RUN --mount needs BuildKit")


def test_without_buildx_the_line_is_refused_and_says_what_is_missing(world: World) -> None:
    world.needs_buildkit = True
    world.buildx_problem = "the docker command has no buildx"
    with pytest.raises(ConfigError, match="line 2: RUN --mount needs BuildKit") as caught:
        world.image(RUN, EngineName.AUTO)
    assert caught.value.details == "RUN x\nthe docker command has no buildx"
    assert world.by_buildx == []


def test_the_docker_engine_does_not_turn_to_buildx(world: World) -> None:
    world.needs_buildkit = True
    with pytest.raises(ConfigError, match="RUN --mount needs BuildKit"):
        world.image(RUN, EngineName.DOCKER)
    assert world.by_buildx == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("COPY --link notes /", "COPY --link is not done"),
        ("COPY --parents notes /", "COPY --parents is not done"),
        ("ADD --checksum=sha256:0 notes /", "ADD --checksum is not done"),
        ("ADD https://example.com/x /", "ADD of an address"),
        ("ADD git@example.com:a/b.git /", "ADD of an address"),
        ("ONBUILD COPY notes /", "ONBUILD needs a daemon"),
        ("COPY <<E /x\nE", "a here-document is not read"),
        ("HEALTHCHECK --often CMD x", "HEALTHCHECK --often is not done"),
        ("USER --x 1", "USER --x is not done"),
    ],
)
def test_what_the_oci_engine_does_not_do_is_refused_by_line_and_done_by_docker(
    world: World, line: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=f"line 2: {problem}"):
        world.image(f"FROM {{{{ base }}}}\n{line}\n", EngineName.OCI)
    world.image(f"FROM {{{{ base }}}}\n{line}\n", EngineName.AUTO)
    assert len(world.sent) == len(world.told) == 1


def test_a_mistake_is_no_reason_to_go_to_docker(world: World) -> None:
    with pytest.raises(ConfigError, match="line 3: missing is not in the build context"):
        world.image(COPY + "COPY missing /\n", EngineName.AUTO)
    with pytest.raises(ConfigError, match="line 3: unknown instruction"):
        world.image(COPY + "COPPY x /\n", EngineName.AUTO)
    assert world.sent == []


def test_the_first_line_that_needs_a_daemon_is_named(world: World) -> None:
    text = "FROM {{ base }} AS unused\nRUN x\nFROM {{ base }}\nADD https://e.x/a /\nRUN y\n"
    with pytest.raises(ConfigError, match="line 4: ADD of an address"):
        world.image(text, EngineName.OCI)


def test_an_image_that_cannot_be_had_is_one_error(world: World) -> None:
    for text in ("FROM other:1\n", COPY + "COPY --from=other:1 /x /y\n"):
        with pytest.raises(BuildkitError, match="other:1 does not exist for linux/arm64"):
            world.image(text, EngineName.AUTO)


def test_bytes_that_are_in_no_file_are_no_part_of_a_kept_layer(world: World) -> None:
    with pytest.raises(BuildError, match="/a is in no file"):
        world.layers.describe((file("a", b"lost"),))
