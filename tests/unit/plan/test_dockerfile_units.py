"""Images from Dockerfiles as they are, and variants of images, as units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.config.lock import Lock
from buildkit.errors import ConfigError, UsageError
from buildkit.images.outline import Outlines
from buildkit.plan.dockerfile_units import Wanted, registry_starts
from buildkit.plan.draft import Draft
from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import resolve
from buildkit.plan.units import AssembleBase, BuildImage, LoadImage, PushIndex, SaveImage, Unit
from tests.unit.plan.projects import FACTS, HOST, LOCK, TEXT, around, project

AMD = "linux/amd64"
BASE, STATIC = "example.com/debug:1", "example.com/static:1"
CHOICE = """\
ARG DISTRIBUTION=debug
ARG REGISTRY=example.com
FROM ${REGISTRY}/debug:1 AS debug
FROM ${REGISTRY}/static:1 AS distroless
FROM ${DISTRIBUTION}
ARG TARGETARCH
ARG VERSION
COPY ${TARGETARCH}/pilot /bin/
"""
MORE = """
[images.chosen]
dockerfile = "docker/Dockerfile"
platforms = ["linux/amd64"]
[args]
VERSION = "v${version}"
UNUSED = "1"
"""
VARIANTS = """
[variants.default]
suffix = ""
[variants.debug]
args = { DISTRIBUTION = "debug" }
[variants.distroless]
args = { DISTRIBUTION = "distroless" }
base = { static = "scratch" }
[bases.scratch]
kind = "scratch"
"""
PINS = Lock(
    fetch=LOCK.fetch,
    debian=LOCK.debian,
    registry={
        **LOCK.registry,
        BASE: {AMD: "sha256:" + "4" * 64},
        STATIC: {AMD: "sha256:" + "5" * 64},
    },
)


class Scene:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "docker").mkdir()
        self.write(CHOICE)

    def write(self, text: str) -> None:
        (self.root / "docker" / "Dockerfile").write_text(text)

    def graph(
        self,
        more: str = MORE,
        *,
        lock: Lock = PINS,
        environ: dict[str, str] | None = None,
        **flags: Any,
    ) -> Graph:
        checked = project(TEXT + more, lock, self.root)
        settings = resolve(checked, Options(platform=AMD, **flags), around(environ))
        facts = replace(FACTS, outline=Outlines().read, daemon=HOST)
        return build_graph(checked, settings, facts, frozenset({Goal.DOCKER}))

    def image(self, name: str = "chosen", more: str = MORE, **flags: Any) -> BuildImage:
        action = unit(self.graph(more, **flags), f"image/{name}@{AMD}").action
        assert isinstance(action, BuildImage)
        return action

    def draft(self, more: str = MORE) -> Draft:
        checked = project(TEXT + more, PINS, self.root)
        facts = replace(FACTS, outline=Outlines().read)
        return Draft(project=checked, settings=resolve(checked, Options(), around()), facts=facts)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def unit(found: Graph, identity: str) -> Unit:
    return next(unit for unit in found.units if unit.id == identity)


def ids(found: Graph, kind: str) -> list[str]:
    return [unit.id for unit in found.units if unit.id.startswith(f"{kind}/")]


def references(found: Graph, name: str) -> list[str]:
    action = unit(found, name).action
    assert isinstance(action, PushIndex | LoadImage | SaveImage)
    return [reference.rpartition("/")[2] for reference in action.references]


def test_names_after_from_become_pinned_bases(scene: Scene) -> None:
    found = scene.graph()
    base = unit(found, f"base/{BASE}@{AMD}").action
    assert isinstance(base, AssembleBase)
    assert (base.base.reference, base.digest) == (BASE, "sha256:" + "4" * 64)
    image = unit(found, f"image/chosen@{AMD}")
    assert image.needs == (f"base/{BASE}@{AMD}", f"binary/pilot@{AMD}")
    assert f"base/{STATIC}@{AMD}" not in [item.id for item in found.units]


def test_the_unit_has_what_its_dockerfile_asks_for(scene: Scene) -> None:
    action = scene.image(version="2")
    assert action.template == scene.root / "docker" / "Dockerfile"
    assert not action.is_template
    assert action.starts == ((BASE, f"base/{BASE}@{AMD}"),)
    assert action.context == (("amd64/pilot", f"binary/pilot@{AMD}"),)
    assert action.args == (("VERSION", "v2"),)


def test_a_reference_that_is_not_locked_blocks_the_image(scene: Scene) -> None:
    found = scene.graph(lock=LOCK)
    assert dict(found.blocked) == {
        f"image/chosen@{AMD}": (f"no base ({BASE}: its digest is not locked, run `invoke lock`)")
    }


def test_a_digest_is_its_own_pin(scene: Scene) -> None:
    digest = "sha256:" + "6" * 64
    scene.write(f"FROM example.com/base@{digest}\n")
    base = unit(scene.graph(), f"base/example.com/base:{digest}@{AMD}").action
    assert isinstance(base, AssembleBase)
    assert base.digest == digest


@pytest.mark.parametrize(
    ("start", "more", "base"),
    [
        ("static", "", "base/static"),
        ("scratch", "", "base/scratch"),
        ("pilot", "", "image/pilot"),
        ("example.com/base:1", 'static.replaces = ["example.com/base:1"]', "base/static"),
        ("example.com/base:2", 'static.replaces = ["example.com/base"]', "base/static"),
        ("alpine", 'static.replaces = ["docker.io/library/alpine"]', "base/static"),
        ("example.com/base:1", "", "base/remote"),
    ],
)
def test_a_name_may_be_something_declared(scene: Scene, start: str, more: str, base: str) -> None:
    scene.write(f"FROM {start}\n")
    text = TEXT.replace('static = { kind = "static" }', f'static.kind = "static"\n{more}')
    checked = project(
        text + MORE, replace_lock({"remote": {AMD: "sha256:" + "7" * 64}}), scene.root
    )
    settings = resolve(checked, Options(platform=AMD), around())
    facts = replace(FACTS, outline=Outlines().read)
    found = build_graph(checked, settings, facts, frozenset({Goal.DOCKER}))
    action = unit(found, f"image/chosen@{AMD}").action
    assert isinstance(action, BuildImage)
    assert action.base == f"{base}@{AMD}"


def test_images_take_the_place_of_bases_too(scene: Scene) -> None:
    scene.write("FROM example.com/own/base:1 AS a\nFROM a\n")
    more = MORE.replace(
        "[args]", '[images.own]\nbase = ["static"]\nreplaces = ["example.com/own/base"]\n[args]'
    )
    action = scene.image(more=more)
    assert action.starts == (("example.com/own/base:1", f"image/own@{AMD}"),)


def test_dockerfiles_that_start_from_each_other_are_an_error(scene: Scene) -> None:
    (scene.root / "docker" / "Other").write_text("FROM chosen\n")
    scene.write("FROM other\n")
    more = MORE.replace("[args]", '[images.other]\ndockerfile = "docker/Other"\n[args]')
    with pytest.raises(ConfigError, match="cycle between images: chosen -> other -> chosen"):
        scene.graph(more)


def replace_lock(registry: dict[str, dict[str, str]]) -> Lock:
    return Lock(fetch=LOCK.fetch, debian=LOCK.debian, registry=registry)


def test_files_of_the_image_come_before_binaries(scene: Scene) -> None:
    scene.write("FROM scratch\nCOPY pilot certs/a.pem conf/ *.json /x/\n")
    more = MORE.replace(
        "platforms",
        'files = { pilot = "p", certs = "c", "conf/a" = "d", "x.json" = "e" }\nplatforms',
    )
    context = dict(scene.image(more=more).context)
    assert context["pilot"] == f"file:{scene.root / 'p'}"
    assert len(context) == 4


@pytest.mark.parametrize(
    "path", ["pilot", "amd64/pilot", "linux/amd64/pilot", "out/linux_amd64/pilot", "/bin/pilot"]
)
def test_binaries_may_lie_below_names_of_the_platform(scene: Scene, path: str) -> None:
    scene.write(f"FROM scratch\nCOPY {path} /\n")
    assert scene.image().context == ((path.lstrip("/"), f"binary/pilot@{AMD}"),)


def test_binaries_that_are_named_can_be_copied_all_at_once(scene: Scene) -> None:
    scene.write("FROM scratch\nCOPY amd64/ /\nCOPY p* /\n")
    context = scene.image(more=MORE.replace("platforms", 'binaries = ["pilot"]\nplatforms')).context
    assert context == (("pilot", f"binary/pilot@{AMD}"), ("amd64/pilot", f"binary/pilot@{AMD}"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("COPY arm64/pilot /", "line 2: arm64/pilot is of arm64, and the image is for linux/amd64"),
        ("COPY linux_arm64/pilot /", "line 2: linux_arm64/pilot is of linux_arm64, and"),
        ("COPY build/artifacts-linux-s390x/pilot /", "is of artifacts-linux-s390x, and the image"),
        ("COPY docs/pilot /", "line 2: docs/pilot: 'docs' is no directory of the build context"),
        ("COPY pilto /", "line 2: pilto is neither a binary nor a file of the image"),
        ("COPY . /x\nCOPY conf.yaml /", "line 3: conf.yaml is neither"),
    ],
)
def test_a_name_that_means_nothing_is_told_by_line(scene: Scene, line: str, problem: str) -> None:
    scene.write(f"FROM scratch\n{line}\n")
    with pytest.raises(ConfigError, match=problem) as caught:
        scene.graph()
    assert caught.value.details in line
    assert caught.value.resolution.startswith("Did you mean pilot? ") == ("pilto" in line)


def test_a_base_that_is_no_reference_is_told_by_line(scene: Scene) -> None:
    scene.write("ARG REGISTRY\nFROM ${REGISTRY}/base\n")
    with pytest.raises(ConfigError, match="line 2: invalid image reference '/base'"):
        scene.graph()


def test_an_argument_of_one_image_must_be_declared(scene: Scene) -> None:
    more = MORE.replace("platforms", 'args = { VERSOIN = "1" }\nplatforms')
    with pytest.raises(
        ConfigError, match=r"images\.chosen\.args\.VERSOIN: docker/Dockerfile has no"
    ) as caught:
        scene.graph(more)
    assert caught.value.details == "did you mean 'VERSION'?"


def test_the_nearer_argument_wins(scene: Scene) -> None:
    more = MORE.replace("platforms", 'args = { VERSION = "image" }\nplatforms')
    assert dict(scene.image(more=more).args)["VERSION"] == "image"
    more += '[variants.v]\nargs = { VERSION = "variant" }\n'
    assert dict(scene.image("chosen:v", more).args)["VERSION"] == "variant"


def test_versions_of_what_is_fetched_can_be_given(scene: Scene) -> None:
    more = MORE.replace("platforms", 'args = { VERSION = "e-${fetch.envoy}" }\nplatforms')
    assert dict(scene.image(more=more).args)["VERSION"] == "e-1.40.0"


def test_what_all_images_have_can_be_part_of_a_value(scene: Scene) -> None:
    more = MORE.replace("platforms", 'args = { VERSION = "e-${args.UNUSED}" }\nplatforms')
    assert dict(scene.image(more=more).args)["VERSION"] == "e-1"


def test_the_lock_is_asked_for_what_any_variant_starts_from(scene: Scene) -> None:
    assert registry_starts(scene.draft(MORE + VARIANTS)) == {
        BASE: Wanted(images=frozenset({"chosen"}), platforms=frozenset({AMD})),
        STATIC: Wanted(images=frozenset({"chosen"}), platforms=frozenset({AMD})),
    }


def test_equal_results_are_one_image_with_the_tags_of_both(scene: Scene) -> None:
    found = scene.graph(MORE + VARIANTS, only="chosen", variant="all")
    assert ids(found, "image") == [f"image/chosen@{AMD}", f"image/chosen:distroless@{AMD}"]
    assert references(found, "push/chosen") == ["chosen:latest", "chosen:latest-debug"]
    assert references(found, "push/chosen:distroless") == ["chosen:latest-distroless"]
    assert references(found, "load/chosen") == references(found, "push/chosen")


def test_an_equal_result_has_one_name_whichever_variant_is_asked_for(scene: Scene) -> None:
    found = scene.graph(MORE + VARIANTS, only="chosen", variant="debug")
    assert ids(found, "image") == [f"image/chosen@{AMD}"]
    assert references(found, "push/chosen") == ["chosen:latest-debug"]


def test_an_argument_that_changes_nothing_makes_no_second_image(scene: Scene) -> None:
    scene.write("ARG DISTRIBUTION\nFROM example.com/debug:1\n")
    found = scene.graph(MORE + VARIANTS, only="chosen", variant="all")
    assert ids(found, "image") == [f"image/chosen@{AMD}"]
    assert len(references(found, "push/chosen")) == 3


def test_a_template_gets_another_base(scene: Scene) -> None:
    found = scene.graph(MORE + VARIANTS, only="pilot,debug", variant="distroless")
    action = unit(found, f"image/pilot:distroless@{AMD}").action
    assert isinstance(action, BuildImage)
    assert action.base == f"base/scratch@{AMD}"
    below = unit(found, f"image/debug:distroless@{AMD}").action
    assert isinstance(below, BuildImage)
    assert below.base == f"image/pilot:distroless@{AMD}"


def test_an_image_can_stay_out_of_variants(scene: Scene) -> None:
    text = MORE.replace("platforms", "variants = false\nplatforms") + VARIANTS
    found = scene.graph(text, only="chosen", variant="distroless")
    assert references(found, "push/chosen") == ["chosen:latest"]
    text = MORE.replace("platforms", 'variants = ["default"]\nplatforms') + VARIANTS
    found = scene.graph(text, variant="distroless")
    assert (
        dict(found.missing)[f"image/chosen:distroless@{AMD}"] == "chosen has no variant distroless"
    )
    assert not [item for item in ids(found, "push") if "chosen" in item]


def test_the_first_variant_is_made_where_nothing_is_said(scene: Scene) -> None:
    found = scene.graph(MORE + VARIANTS, only="chosen")
    assert references(found, "push/chosen") == ["chosen:latest"]


def test_only_takes_an_image_with_all_variants_or_one(scene: Scene) -> None:
    one = scene.graph(MORE + VARIANTS, only="chosen:distroless", variant="all")
    assert ids(one, "image") == [f"image/chosen:distroless@{AMD}"]


def test_files_of_a_variant_have_names_that_every_system_takes(scene: Scene) -> None:
    found = scene.graph(MORE + VARIANTS, only="chosen", variant="all", save="oci-archive")
    action = unit(found, "oci-archive/chosen:distroless").action
    assert isinstance(action, SaveImage)
    assert action.output.name == "chosen-distroless.oci.tar"


@pytest.mark.parametrize(
    ("flag", "environ", "more", "variants", "origin"),
    [
        (None, {}, "", ("default",), "the first of [variants]"),
        (None, {}, 'variants = ["debug"]\n', ("debug",), "matrix.variants in targets.toml"),
        (
            "distroless,debug",
            {"DOCKER_BUILD_VARIANTS": "x"},
            "",
            ("debug", "distroless"),
            "--variant",
        ),
        ("all", {}, "", ("default", "debug", "distroless"), "--variant"),
        (
            None,
            {"DOCKER_BUILD_VARIANTS": "distroless debug"},
            "",
            ("debug", "distroless"),
            "DOCKER_BUILD_VARIANTS in the environment",
        ),
        (
            None,
            {"DOCKER_BUILD_VARIANTS": "distroless", "INCLUDE_UNTAGGED_DEFAULT": "true"},
            "",
            ("default", "distroless"),
            (
                "DOCKER_BUILD_VARIANTS in the environment, "
                "INCLUDE_UNTAGGED_DEFAULT in the environment"
            ),
        ),
    ],
)
def test_variants_are_chosen_by_flag_environment_or_file(
    flag: str | None, environ: dict[str, str], more: str, variants: tuple[str, ...], origin: str
) -> None:
    checked = project(TEXT.replace("[go]\n", f"{more}[go]\n", 1) + VARIANTS)
    found = resolve(checked, Options(variant=flag), around(environ))
    assert (found.variants, found.variant_origin) == (variants, origin)


def test_a_variant_that_does_not_exist_is_told() -> None:
    checked = project(TEXT + VARIANTS)
    with pytest.raises(UsageError, match="there is no variant 'distrolles'") as caught:
        resolve(checked, Options(variant="distrolles"), around())
    assert caught.value.details == "did you mean 'distroless'?"
    with pytest.raises(UsageError, match="there is no variant 'debug'"):
        resolve(project(), Options(variant="debug"), around())
    with pytest.raises(UsageError, match="--variant names none"):
        resolve(checked, Options(variant=","), around())


def test_istios_name_means_nothing_where_there_are_no_variants() -> None:
    found = resolve(project(), Options(), around({"DOCKER_BUILD_VARIANTS": "distroless"}))
    assert found.variants == ()
    assert found.notes == (
        "DOCKER_BUILD_VARIANTS in the environment: there is no table [variants]",
    )
