from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buildkit.config.model import Image
from buildkit.errors import BuildError, ConfigError
from buildkit.images.docker import DockerEngine
from buildkit.images.local import base_sheet
from buildkit.images.sheet import write_sheet
from buildkit.oci.layer import file, write_layer
from buildkit.plan.units import Artifact, BuildImage, Kind, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.reference import mirrored
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.unit.images.fake_docker import FakeDocker

TEMPLATE = """\
ARG REGISTRY=example.com
FROM scratch AS unused
COPY nothing /
FROM scratch AS certs
COPY notes /notes
FROM {{ base }}
ARG TARGETARCH
COPY --from=certs /notes /notes
COPY pilot-discovery /usr/local/bin/
USER 1337:1337
"""


class Scene:
    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.fake = FakeDocker()
        self.mirrors: dict[str, str] = {}
        self.template = folder / "Dockerfile.j2"
        self.template.write_text(TEMPLATE)
        (folder / "binary").write_bytes(b"\x7fELF")
        (folder / "notes").write_text("notes")

    def base(self, platform: str) -> Artifact:
        layer = write_layer([file("etc/passwd", b"root")], self.folder / "layer.tar")
        _, path = self.store.put_file(layer.path)
        unit = f"base/static@{platform}"
        return Artifact(unit=unit, digest=str(layer.diff_id), size=layer.size, path=path)

    def build(
        self, platform: str = "linux/arm64", base: Artifact | None = None, **volatile: str
    ) -> Artifact:
        base = base or self.base(platform)
        action = BuildImage(
            name="pilot",
            image=Image(base=("static",)),
            template=self.template,
            base=base.unit,
            context=(("pilot-discovery", "binary/x"), ("notes", f"file:{self.folder / 'notes'}")),
            variables=(("version", "1.0"),),
            labels=(("org.opencontainers.image.title", "pilot"),),
            volatile_labels=(("org.opencontainers.image.revision", "${git.revision}"),),
        )
        unit = Unit(kind=Kind.IMAGE, name="pilot", platform=Platform.parse(platform), action=action)
        binary = Artifact(unit="binary/x", digest="", size=4, path=self.folder / "binary")
        engine = DockerEngine(
            client=lambda: self.fake.client,
            layers=layers_of(self.store),
            project="Mesh One",
            volatile=lambda: {"git.revision": volatile.get("revision", "")},
            locate=lambda reference: mirrored(reference, self.mirrors),
        )
        given = {base.unit: base, "binary/x": binary}
        step = Step(unit=unit, verdict=Verdict.RUN, reason="")
        (artifact,) = engine.build((step,), given, lambda _: None)
        return artifact


@pytest.fixture
def scene(tmp_path: Path, store: Store) -> Scene:
    return Scene(tmp_path, store)


def test_an_image_is_built_and_named_for_its_platform(scene: Scene) -> None:
    artifact = scene.build()
    assert artifact.reference == ("meshwright.local/mesh-one/pilot:linux_arm64",)
    assert scene.fake.names[artifact.reference[0]] == artifact.digest
    assert artifact.size == 1000
    (build,) = scene.fake.builds
    assert build.options["platform"] == "linux/arm64"
    assert build.options["nocache"] is False


def test_the_context_holds_only_what_reachable_stages_copy(scene: Scene) -> None:
    scene.build()
    (build,) = scene.fake.builds
    modes = {name: mode for name, (mode, _) in build.files.items() if not name.startswith(".")}
    assert modes == {"notes": 0o644, "pilot-discovery": 0o755}
    assert build.files["pilot-discovery"][1] == b"\x7fELF"


def test_every_stage_starts_from_an_image_of_the_platform(scene: Scene) -> None:
    scene.build()
    starts = [
        line for line in scene.fake.builds[0].dockerfile.splitlines() if line.startswith("FROM")
    ]
    assert [start.split(":")[0] for start in starts] == [
        "FROM meshwright.local/base/scratch",
        "FROM meshwright.local/base/scratch",
        "FROM meshwright.local/base/static",
    ]
    assert all(":linux_arm64-" in start for start in starts)
    assert "COPY nothing" not in scene.fake.builds[0].dockerfile


def test_only_declared_platform_arguments_are_given(scene: Scene) -> None:
    scene.build()
    assert scene.fake.builds[0].options["buildargs"] == {"TARGETARCH": "arm64"}


def test_labels_name_the_base_and_what_is_known_only_now(scene: Scene) -> None:
    scene.build(revision="abc")
    text = scene.fake.builds[0].dockerfile
    assert 'org.opencontainers.image.title="pilot"' in text
    assert 'org.opencontainers.image.revision="abc"' in text
    assert 'org.opencontainers.image.base.name="meshwright.local/base/static:linux_arm64-' in text
    scene.build(revision="")
    assert "revision" not in scene.fake.builds[1].dockerfile


def test_a_base_is_loaded_once_per_platform(scene: Scene) -> None:
    scene.build()
    scene.build()
    scene.build("linux/amd64")
    static = [name for name in scene.fake.loads if "/static:" in name]
    assert len(static) == 2
    assert len({name.split("-")[0] for name in static}) == 2


def test_a_base_that_the_daemon_mangled_is_an_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = scene.fake.load_image

    def mangled(stream: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        entries = original(stream)
        scene.fake.images[scene.fake.names[scene.fake.loads[-1]]]["Architecture"] = "amd64"
        return entries

    monkeypatch.setattr(scene.fake, "load_image", mangled)
    with pytest.raises(BuildError, match="cannot load meshwright"):
        scene.build()


def test_a_result_of_another_platform_is_built_again_without_the_cache(scene: Scene) -> None:
    scene.fake.builds_as = ["linux/amd64", "linux/arm64"]
    artifact = scene.build()
    assert [build.options["nocache"] for build in scene.fake.builds] == [False, True]
    assert scene.fake.images[artifact.digest]["Architecture"] == "arm64"


def test_a_result_that_stays_of_another_platform_is_never_named(scene: Scene) -> None:
    scene.fake.builds_as = ["linux/amd64", "linux/amd64"]
    with pytest.raises(BuildError, match="image/pilot@linux/arm64 came out as linux/amd64"):
        scene.build()
    assert "meshwright.local/mesh-one/pilot:linux_arm64" not in scene.fake.names


def test_an_error_in_the_stream_fails_the_image_with_the_daemons_words(scene: Scene) -> None:
    scene.fake.streams = [[{"stream": "Step 2/3 : RUN make"}, {"error": "exit code: 2"}]]
    with pytest.raises(BuildError) as caught:
        scene.build()
    assert caught.value.brief == "image/pilot@linux/arm64 cannot be built"
    assert caught.value.details == "Step 2/3 : RUN make\nexit code: 2"


def test_a_stream_without_image_or_error_is_an_error(scene: Scene) -> None:
    scene.fake.streams = [[{"stream": "Step 1/1"}]]
    with pytest.raises(BuildError, match="no image and no error"):
        scene.build()


def test_another_base_in_the_dockerfile_is_pulled_for_the_platform(scene: Scene) -> None:
    scene.template.write_text("FROM example.com/other:1\nCOPY notes /\n")
    scene.build()
    assert scene.fake.pulls == [
        {"repository": "example.com/other", "tag": "1", "platform": "linux/arm64"}
    ]
    assert scene.fake.builds[0].dockerfile.startswith(
        "FROM meshwright.local/pulled/example-com-other:linux_arm64-"
    )


def test_another_base_is_pulled_from_its_mirror_under_its_own_name(scene: Scene) -> None:
    scene.template.write_text("FROM example.com/other:1\nCOPY notes /\n")
    scene.build()
    scene.mirrors = {"example.com": "mirror.test/example"}
    scene.build()
    assert scene.fake.pulls[1] == {
        "repository": "mirror.test/example/other",
        "tag": "1",
        "platform": "linux/arm64",
    }
    first, second = (build.dockerfile.splitlines()[0] for build in scene.fake.builds)
    assert first == second


def test_a_pulled_base_of_another_platform_is_refused(scene: Scene) -> None:
    scene.template.write_text("FROM example.com/other:1\nCOPY notes /\n")
    scene.fake.pull_platform = "linux/amd64"
    with pytest.raises(BuildError, match="cannot be pulled for linux/arm64"):
        scene.build()


def test_nothing_is_sent_for_a_dockerfile_that_needs_buildkit(scene: Scene) -> None:
    scene.template.write_text("FROM {{ base }}\nCOPY --chmod=755 notes /\n")
    with pytest.raises(ConfigError, match="line 2: COPY --chmod needs BuildKit"):
        scene.build()
    assert scene.fake.builds == []


def test_a_base_image_of_ours_is_loaded_where_the_daemon_has_another(scene: Scene) -> None:
    below = base_sheet(scene.base("linux/arm64"), Platform.parse("linux/arm64"))
    path = scene.folder / "base.json"
    write_sheet(path, below)
    name = "meshwright.local/mesh-one/base:linux_arm64"
    base = Artifact(
        unit="image/base@linux/arm64", digest=str(below.id), size=1, path=path, reference=(name,)
    )
    scene.fake.add(name, "linux/arm64")
    scene.build(base=base)
    assert scene.fake.names[name] == str(below.id)
    assert f"FROM {name}" in scene.fake.builds[0].dockerfile
