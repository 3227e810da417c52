"""Loading into daemons of both stores: what is sent, what is only named, what the id is."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.images.indexing import platform_image, sheet_of
from buildkit.images.layers import Layers
from buildkit.images.load import load_base
from buildkit.images.loading import ImageLoader
from buildkit.images.local import base_sheet
from buildkit.images.nearby import load_problem
from buildkit.plan.units import Artifact, Kind, LoadImage, Unit
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import image_artifact, layers_of
from tests.fakes.units import running
from tests.unit.images.fake_docker import FakeDocker

AMD64 = Platform("linux", "amd64")
NAMES = ("localhost:5000/pilot:1", "localhost:5000/pilot:2")


@pytest.fixture(params=[False, True], ids=["graph driver", "containerd"])
def daemon(request: pytest.FixtureRequest) -> FakeDocker:
    return FakeDocker(containerd=request.param)


@pytest.fixture
def layers(store: Store) -> Layers:
    return layers_of(store)


@pytest.fixture
def image(layers: Layers, tmp_path: Path) -> Artifact:
    return image_artifact(layers, tmp_path, AMD64, b"one", b"two")


def load(
    daemon: FakeDocker, layers: Layers, image: Artifact, names: tuple[str, ...] = NAMES
) -> Artifact:
    action = LoadImage(name="pilot", image=image.unit, references=names)
    unit = Unit(kind=Kind.LOAD, name="pilot", platform=None, action=action, needs=(image.unit,))
    loader = ImageLoader(client=lambda: daemon.client, layers=layers)
    (made,) = loader.build((running(unit),), {image.unit: image}, lambda _: None)
    return made


def test_the_artifact_has_the_id_that_the_daemon_gives(
    daemon: FakeDocker, layers: Layers, image: Artifact
) -> None:
    made = load(daemon, layers, image)
    manifest = platform_image(sheet_of(image), layers, compress=False).descriptor.digest
    assert made.digest == (str(manifest) if daemon.containerd else image.digest)
    assert daemon.names == dict.fromkeys(NAMES, made.digest)
    assert made.reference == NAMES


def test_an_image_that_the_daemon_has_is_named_and_not_sent(
    daemon: FakeDocker, layers: Layers, image: Artifact
) -> None:
    first = load(daemon, layers, image, NAMES[:1])
    again = load(daemon, layers, image, NAMES[1:])
    assert len(daemon.sent) == 1
    assert again.digest == first.digest
    assert daemon.names == dict.fromkeys(NAMES, first.digest)


def test_layers_that_a_graph_driver_has_are_left_out_and_containerd_gets_all(
    daemon: FakeDocker, layers: Layers, image: Artifact, tmp_path: Path
) -> None:
    load(daemon, layers, image)
    changed = image_artifact(layers, tmp_path, AMD64, b"one", b"other")
    load(daemon, layers, changed)
    sent = [sum("json" not in name and "oci-layout" not in name for name in n) for n in daemon.sent]
    # containerd's blobs are the manifest, the config and two layers.
    assert sent == ([4, 4] if daemon.containerd else [2, 1])
    assert {daemon.names[name] for name in NAMES} == {list(daemon.images)[-1]}


def test_a_daemon_is_asked_for_names_as_it_lists_them() -> None:
    names = ("docker.io/istio/pilot:1", "localhost:5000/pilot:1")
    listed = {"istio/pilot:1": "sha256:1", "localhost:5000/pilot:1": "sha256:1"}
    assert load_problem(names, "sha256:1", listed) is None
    moved = load_problem(names, "sha256:2", listed)
    assert moved == "docker.io/istio/pilot:1 is something else in the daemon"
    gone = load_problem(names, "sha256:1", {"istio/pilot:1": "sha256:1"})
    assert gone == "the daemon does not have localhost:5000/pilot:1"


def test_a_base_is_sent_once(daemon: FakeDocker, layers: Layers) -> None:
    scratch = Artifact(unit="base/scratch@linux/amd64", digest="", size=0)
    one, two = (load_base(daemon.client, layers, scratch, AMD64) for _ in range(2))
    assert one == two
    assert daemon.loads == [one.name]
    assert base_sheet(scratch, AMD64).layers == ()


def test_what_the_daemon_made_something_else_of_is_an_error(
    daemon: FakeDocker, layers: Layers, image: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(daemon, layers, image)
    found = daemon.images[daemon.names[NAMES[0]]]
    monkeypatch.setitem(found, "RootFS", {"Layers": []})
    with pytest.raises(BuildError, match=f"cannot load {NAMES[0]}"):
        load(daemon, layers, image)
