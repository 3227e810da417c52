"""The Docker engine against a real daemon: what its classic builder gets wrong by itself."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import secrets
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from buildkit.config.model import Base, Image
from buildkit.errors import BuildError
from buildkit.http import HttpPool
from buildkit.images.bases import BaseAssembler
from buildkit.images.daemon import connect, daemon_platform, daemon_problem, named_images
from buildkit.images.docker import DockerEngine
from buildkit.plan.units import Artifact, AssembleBase, BuildImage, Kind, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.integration.leftovers import remove_named, remove_steps
from tests.integration.tiny import aarch64, x86_64

pytestmark = pytest.mark.docker

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
COPY = "FROM {{ base }}\nCOPY pilot-discovery /usr/local/bin/\nUSER 1337:1337\n"


def run_step(builder: Any, unit: Unit, given: dict[str, Artifact]) -> Artifact:
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    (artifact,) = builder.build((step,), given, lambda _: None)
    assert isinstance(artifact, Artifact)
    return artifact


class Workshop:
    """Builds images under a project name of its own, and removes all of that project."""

    def __init__(self, client: DockerClient, store: Store, folder: Path) -> None:
        self.client = client
        self.store = store
        self.project = f"imgtest-{secrets.token_hex(4)}"
        self.layers: set[str] = set()
        self.start(folder)

    def start(self, folder: Path) -> None:
        """Begin another project below a folder."""
        self.folder = folder
        self.files = {
            "pilot-discovery": x86_64(b"hello"),
            "notes": b"notes",
            "secret": b"not copied",
        }

    def base(self, kind: Any, platform: Platform) -> Artifact:
        assembler = BaseAssembler(
            store=self.store,
            project=self.project,
            find=lambda name, _: pytest.fail(name),
            pool=HttpPool(environ={}),
            runner=Processes(),
            environ={},
            warn=pytest.fail,
        )
        action = AssembleBase(
            name=self.project, base=Base(kind=kind), packages=(), archive="", digest=""
        )
        unit = Unit(kind=Kind.BASE, name=self.project, platform=platform, action=action)
        made = run_step(assembler, unit, {})
        self.layers.add(made.digest)
        return made

    def build(self, text: str, platform: Platform, *, kind: str = "static") -> Artifact:
        template = self.folder / "Dockerfile.j2"
        template.write_text(text)
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        base = self.base(kind, platform)
        action = BuildImage(
            name="pilot",
            image=Image(base=(kind,)),
            template=template,
            base=base.unit,
            context=(
                ("pilot-discovery", "binary/x"),
                *((name, f"file:{self.folder / name}") for name in ("notes", "secret")),
            ),
            variables=(("version", "1"),),
            labels=(("quoted", 'a "b" $HOME \\ `c`'),),
            volatile_labels=(),
        )
        engine = DockerEngine(
            client=lambda: self.client,
            layers=layers_of(self.store),
            project=self.project,
            volatile=dict,
        )
        unit = Unit(kind=Kind.IMAGE, name="pilot", platform=platform, action=action)
        binary = Artifact(unit="binary/x", digest="", size=0, path=self.folder / "pilot-discovery")
        return run_step(engine, unit, {base.unit: base, "binary/x": binary})

    def attrs(self, artifact: Artifact) -> dict[str, Any]:
        attrs: dict[str, Any] = self.client.images.get(artifact.digest).attrs
        return attrs

    def built(self) -> dict[str, str]:
        """Return the names of this project's images with what they name."""
        found = named_images(self.client)
        return {name: image for name, image in found.items() if f"{self.project}/pilot" in name}

    def tree(self, artifact: Artifact, path: str) -> dict[str, tarfile.TarInfo]:
        """Return what a container of an image has at a path."""
        container = self.client.containers.create(artifact.digest, command=["/none"])
        try:
            blocks, _ = container.get_archive(path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(blocks))) as archive:
                return {item.name: item for item in archive}
        finally:
            container.remove()

    def close(self) -> None:
        remove_named(self.client, self.project)
        # A failed build leaves its finished steps; this project's base is its own.
        remove_steps(self.client, self.layers)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The one workshop of the module: the daemon takes its bases once."""
    root = tmp_path_factory.mktemp("workshop")
    with contextlib.closing(connect(os.environ)) as client:
        made = Workshop(client, Store.open(root / "store"), root)
        yield made
        made.close()


@pytest.fixture
def shop(opened: Workshop, tmp_path: Path) -> Workshop:
    """The workshop with an empty folder and the usual files."""
    opened.start(tmp_path)
    return opened


@pytest.mark.parametrize("kind", ["static", "scratch"])
@pytest.mark.parametrize("platform", [AMD, ARM])
def test_an_image_of_copies_has_its_platform_and_needs_no_emulation(
    shop: Workshop, kind: str, platform: Platform
) -> None:
    attrs = shop.attrs(shop.build(COPY, platform, kind=kind))
    assert (attrs["Os"], attrs["Architecture"]) == (platform.os, platform.arch)
    assert attrs["Config"]["User"] == "1337:1337"
    assert len(attrs["RootFS"]["Layers"]) == (2 if kind == "static" else 1)


def test_a_program_runs_on_the_static_base(shop: Workshop) -> None:
    native = daemon_platform(shop.client)
    program = x86_64 if native.arch == "amd64" else aarch64
    shop.files["pilot-discovery"] = program(b"it runs\n")
    text = COPY + 'ENTRYPOINT ["/usr/local/bin/pilot-discovery"]\n'
    artifact = shop.build(text, native)
    assert shop.client.containers.run(artifact.digest, remove=True) == b"it runs\n"


def test_the_static_base_arrives_as_it_was_assembled(shop: Workshop) -> None:
    artifact = shop.build(COPY, ARM)
    assert shop.tree(artifact, "/tmp")["tmp/"[:-1]].mode & 0o7777 == 0o1777
    assert "zoneinfo/Europe/Berlin" in shop.tree(artifact, "/usr/share/zoneinfo")
    home = shop.tree(artifact, "/home/nonroot")["nonroot"]
    assert (home.uid, home.gid, home.mtime) == (65532, 65532, 0)


def test_the_context_holds_only_what_is_copied(shop: Workshop) -> None:
    text = "FROM {{ base }}\nCOPY pilot-discovery notes /all/\nCOPY . /everything/\n"
    everything = shop.tree(shop.build(text, ARM), "/everything")
    # Copying all takes all; neither the Dockerfile nor the ignore file is among it.
    assert sorted(everything) == [
        "everything",
        "everything/notes",
        "everything/pilot-discovery",
        "everything/secret",
    ]
    some = shop.tree(shop.build(COPY, ARM), "/usr/local/bin")
    assert sorted(some) == ["bin", "bin/pilot-discovery"]
    assert some["bin/pilot-discovery"].mode & 0o777 == 0o755


def test_scratch_stages_of_two_platforms_are_not_mixed(shop: Workshop) -> None:
    text = "FROM scratch\nCOPY notes /notes\n"
    one, two = shop.build(text, AMD), shop.build(text, ARM)
    assert one.digest != two.digest
    assert [shop.attrs(item)["Architecture"] for item in (one, two)] == ["amd64", "arm64"]


def test_platform_arguments_have_values(shop: Workshop) -> None:
    text = "FROM {{ base }}\nARG TARGETOS\nARG TARGETARCH\nLABEL made=$TARGETOS-$TARGETARCH\n"
    assert shop.attrs(shop.build(text, ARM))["Config"]["Labels"]["made"] == "linux-arm64"


def test_a_stage_that_nothing_uses_is_not_built(shop: Workshop) -> None:
    text = "FROM {{ base }} AS unused\nRUN exit 1\nFROM {{ base }} AS a\nCOPY notes /n\n"
    text += "FROM {{ base }}\nCOPY --from=1 /n /from-number\nCOPY --from=a /n /from-name\n"
    tree = shop.tree(shop.build(text, ARM), "/from-number")
    assert sorted(tree) == ["from-number"]


def test_labels_keep_every_character(shop: Workshop) -> None:
    labels = shop.attrs(shop.build(COPY, ARM))["Config"]["Labels"]
    assert labels["quoted"] == 'a "b" $HOME \\ `c`'
    assert labels["org.opencontainers.image.base.name"].startswith("meshwright.local/base/")


def test_an_error_in_the_stream_has_the_daemons_words_and_names_nothing(shop: Workshop) -> None:
    before = shop.built()
    with pytest.raises(BuildError) as caught:
        shop.build("FROM {{ base }}\nCOPY notes /n\nRUN echo hello\n", daemon_platform(shop.client))
    assert "Step 3/4 : RUN echo hello" in caught.value.details
    assert "/bin/sh" in caught.value.details
    assert shop.built() == before


def test_a_request_that_is_refused_at_once_is_a_build_error(shop: Workshop) -> None:
    with pytest.raises(BuildError, match="cannot be built"):
        shop.build("FROM {{ base }}\nLABEL novalue\n", ARM)


def test_the_same_inputs_give_the_same_image_and_other_inputs_another(shop: Workshop) -> None:
    one, two = shop.build(COPY, ARM), shop.build(COPY, ARM)
    assert one == two
    shop.files["pilot-discovery"] += b"x"
    three = shop.build(COPY, ARM)
    assert three.digest != one.digest
    assert named_images(shop.client)[three.reference[0]] == three.digest


def test_two_stores_assemble_the_same_layer(shop: Workshop, tmp_path: Path) -> None:
    other = Workshop(shop.client, Store.open(tmp_path / "other"), tmp_path)
    other.project = shop.project
    assert shop.base("static", ARM).digest == other.base("static", AMD).digest


def test_a_daemon_that_answers_has_no_problem() -> None:
    assert daemon_problem(os.environ) is None


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("unix:///nonexistent/docker.sock", "no Docker daemon"),
        ("tcp://127.0.0.1:9", "not running"),
    ],
)
def test_a_daemon_that_does_not_answer_has_a_reason(address: str, words: str) -> None:
    with warnings.catch_warnings():
        # The SDK leaves a socket that did not connect to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        problem = daemon_problem({"DOCKER_HOST": address})
        gc.collect()
    assert problem is not None
    assert words in problem
