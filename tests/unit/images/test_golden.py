"""The OCI engine against what BuildKit makes of the same small Dockerfiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import BuildkitError
from buildkit.images.assemble import Assembly, refusal
from buildkit.images.recipe import recipe_of
from buildkit.images.sheet import Sheet
from buildkit.images.stages import platform_args
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.golden import images
from tests.golden.table import Case, Observed, cases, expected, observe

TABLE = cases()


def assemble(case: Case, folder: Path) -> Observed:
    layers = layers_of(Store.open(folder / "store"))
    (folder / "context").mkdir()

    def find(name: str, platform: Platform) -> Sheet:
        return images.base(name.removesuffix(":test"), platform, layers)

    recipe = recipe_of(
        case.dockerfile(lambda name: f"{name}:test"),
        images.context(folder / "context"),
        origin="D",
        args=platform_args(case.target),
        environment=lambda name, platform: (
            find(
                name, Platform.parse(platform) if platform else case.target
            ).image_config.run.environment
        ),
    )
    problem = refusal(recipe.dockerfile, recipe.stages)
    if problem:
        raise problem
    assembly = Assembly(recipe=recipe, platform=case.target, find=find, layers=layers, epoch=0)
    return observe(assembly.sheet(), layers)


@pytest.mark.parametrize("case", [item for item in TABLE if not item.refused], ids=lambda c: c.name)
def test_the_oci_engine_gives_buildkits_image(case: Case, tmp_path: Path) -> None:
    seen = assemble(case, tmp_path)
    layers = layers_of(Store.open(tmp_path / "below"))
    below = observe(images.base(case.base, case.target, layers), layers)
    assert seen == expected(case, below)


@pytest.mark.parametrize("case", [item for item in TABLE if item.refused], ids=lambda c: c.name)
def test_the_oci_engine_refuses_by_line(case: Case, tmp_path: Path) -> None:
    with pytest.raises(BuildkitError, match=case.refused):
        assemble(case, tmp_path)


def test_what_is_refused_is_an_error_of_buildkit_too_or_has_a_reason(tmp_path: Path) -> None:
    layers = layers_of(Store.open(tmp_path / "below"))
    for case in TABLE:
        if case.refused:
            below = observe(images.base(case.base, case.target, layers), layers)
            assert ("error" in expected(case, below)) != bool(case.why), case.name


def test_every_difference_of_the_classic_builder_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "dockerfile.md").read_text()
    for case in TABLE:
        if case.classic and not case.classic.startswith("not tried"):
            assert f"| {case.name} | {case.classic} |" in text
