from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from buildkit.config.model import Image
from buildkit.images.assemble import refusal
from buildkit.images.classic import refuse_unsupported
from buildkit.images.dockerfile import Dockerfile, parse
from buildkit.images.recipe import template_variables
from buildkit.images.render import render
from buildkit.images.stages import platform_args, reachable, stages_of
from buildkit.plan.units import BuildImage
from buildkit.platform import Platform

ROOT = Path(__file__).parents[3]
EVERY = tomli.loads((ROOT / "targets.toml").read_text())["images"]
IMAGES = {name: image for name, image in EVERY.items() if image.get("default", True)}
SIDECARS = tomli.loads((ROOT / "examples" / "sidecars.toml").read_text())["images"]
SYSTEMS = {name: image for name, image in {**SIDECARS, **EVERY}.items() if name not in IMAGES}
ROOT_USERS = {"install-cni"}
"""It writes into directories of the node that are root's."""


@pytest.fixture(params=sorted(IMAGES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dockerfile(name: str) -> Dockerfile:
    action = BuildImage(
        name=name,
        image=Image(base=("static",)),
        template=ROOT / "images" / name / "Dockerfile.j2",
        base="base/static@linux/arm64",
        context=(),
        variables=(("version", "1"), ("project", "mesh"), ("hub", "example.com")),
        labels=(),
        volatile_labels=(),
    )
    variables = template_variables(action, Platform.parse("linux/arm64"), "local/base:1")
    return parse(render(action.template, variables), origin=name)


def test_a_template_starts_from_its_base_and_needs_no_process(dockerfile: Dockerfile) -> None:
    stages = stages_of(dockerfile, platform_args(Platform.parse("linux/arm64")))
    refuse_unsupported(dockerfile, reachable(stages))
    assert stages[-1].base == "local/base:1"
    assert refusal(dockerfile, stages) is None


def test_a_template_copies_all_of_its_files_and_nothing_else(
    name: str, dockerfile: Dockerfile
) -> None:
    (stage,) = stages_of(dockerfile, {})
    copied = {source for copy in stage.copies for source in copy.sources}
    assert copied == {*IMAGES[name].get("binaries", ()), *IMAGES[name].get("files", {})}


def test_the_user_is_a_number_that_is_not_root(name: str, dockerfile: Dockerfile) -> None:
    users = [item.value for item in dockerfile.instructions if item.name == "USER"]
    assert users in ([], ["1337:1337"], ["1338:1338"])
    assert (not users) == (name in ROOT_USERS)


def test_the_entrypoint_is_a_program_that_was_copied(dockerfile: Dockerfile) -> None:
    (stage,) = stages_of(dockerfile, {})
    (entrypoint,) = [item for item in stage.instructions if item.name == "ENTRYPOINT"]
    assert entrypoint.json_form
    placed = {
        f"{copy.target}{source}" if copy.target.endswith("/") else copy.target
        for copy in stage.copies
        for source in copy.sources
    }
    assert entrypoint.words[0] in placed


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_a_system_installs_the_package_with_its_own_tool_in_a_run(name: str) -> None:
    table = SYSTEMS[name]
    template = ROOT / "images" / "app_sidecar" / Path(table["template"]).name
    variables = {"base": "local/base:1"}
    variables |= {f"vars.{key}": text for key, text in table.get("variables", {}).items()}
    dockerfile = parse(render(template, variables), origin=name)
    stages = stages_of(dockerfile, platform_args(Platform.parse("linux/amd64")))
    refuse_unsupported(dockerfile, reachable(stages))
    (stage,) = stages
    copied = {source for copy in stage.copies for source in copy.sources}
    assert copied == {*table["binaries"], *table["files"], *table["packages"]}
    run = next(item.value for item in stage.instructions if item.name == "RUN")
    tool = {"istio-sidecar.deb": "apt-get", "istio-sidecar.rpm": "dnf"}[table["packages"][0]]
    assert run.startswith("yum" if name == "app_sidecar_centos_7" else tool)
    assert f"/tmp/{table['packages'][0]}" in run
    assert refusal(dockerfile, stages) is not None
