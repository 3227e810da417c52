"""Istio's plan of images, ``tools/docker.yaml``: which files each Dockerfile gets.

Read as ``tools/docker-builder`` of istio/istio reads it: ``files`` and ``targets`` are
staged under their base names, ``targets`` after make has built them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec.yaml
from msgspec import Struct
from msgspec.structs import replace

from buildkit.adopt.dockerfiles import compiling_line, copied_paths, read_dockerfile
from buildkit.adopt.model import Image
from buildkit.errors import ConfigError
from buildkit.images.dockerfile import Dockerfile

PLAN = "tools/docker.yaml"

_SETTLED = {"SIDECAR": "envoy", "RELEASE_MODE": "release"}
_OUT = re.compile(r"^\$\{(TARGET_OUT_LINUX|TARGET_OUT|LOCAL_OUT)\}/")
_VM = re.compile(r"app_sidecar_(?:base_)?(?P<name>[^_]+)_(?P<version>[^_]+)")


class PlannedImage(Struct, frozen=True):
    """An entry of the plan."""

    name: str
    dockerfile: str
    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    base: bool = False


class _Plan(Struct, frozen=True):
    images: tuple[PlannedImage, ...] = ()


def parse_plan(text: str) -> tuple[PlannedImage, ...]:
    """Read the plan.

    Raises:
        ConfigError: it is no YAML, or not of this form.
    """
    try:
        return msgspec.yaml.decode(text, type=_Plan).images
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"{PLAN} cannot be read",
            details=str(error),
            resolution="Mend it, or take it away: the Dockerfiles are then looked for.",
        ) from error


def adopt_plan(tree: Path, plan: Iterable[PlannedImage], binaries: Iterable[str]) -> list[Image]:
    """Return the images of a plan, those that cannot be made here with the reason.

    Args:
        tree: the root of the source tree.
        plan: what :func:`parse_plan` found.
        binaries: the names of everything that is compiled or fetched.
    """
    known = frozenset(binaries)
    return [_image(tree, item, known) for item in plan]


def _image(tree: Path, item: PlannedImage, known: frozenset[str]) -> Image:
    staged, missing = _staged(tree, item, known)
    unusable = Image(name=item.name, dockerfile=item.dockerfile, files=staged, variants=False)
    try:
        file = read_dockerfile(tree, item.dockerfile)
    except OSError:
        return replace(unusable, left_out=f"{item.dockerfile} does not exist")
    except ConfigError as error:
        return replace(unusable, left_out=error.brief)
    return Image(
        name=item.name,
        dockerfile=item.dockerfile,
        files=_used(file, staged),
        args=_machine_arguments(file, item.name),
        variants=not item.base and _has_variants(file),
        left_out=_obstacle(file, item, missing),
    )


def _staged(
    tree: Path, item: PlannedImage, known: frozenset[str]
) -> tuple[dict[str, str], list[str]]:
    """Return what the plan stages of the tree, by name, and what nothing here makes."""
    files: dict[str, str] = {}
    missing: list[str] = []
    for text in (*item.files, *item.targets):
        path = _settle(text)
        name = PurePosixPath(path).name
        if _OUT.match(text):
            missing += [] if name in known else [name]
        elif (tree / path).exists():
            files[name] = path
        else:
            missing.append(path)
    return files, missing


def _used(file: Dockerfile, staged: Mapping[str, str]) -> dict[str, str]:
    """Return the staged files that the Dockerfile copies; the plan names some that none does."""
    first = {path.split("/")[0] for path in copied_paths(file)}
    return {name: path for name, path in staged.items() if name in first}


def _obstacle(file: Dockerfile, item: PlannedImage, missing: list[str]) -> str:
    if line := compiling_line(file):
        return f"it compiles by itself, line {line}"
    if item.base:
        return "a base, which make docker.NAME builds where it is asked for; others pull it"
    if missing:
        return f"it needs {', '.join(missing)}, which nothing here makes"
    return ""


def _has_variants(file: Dockerfile) -> bool:
    return any(
        item.name == "FROM"
        and item.words[0].startswith(("$BASE_DISTRIBUTION", "${BASE_DISTRIBUTION"))
        for item in file.instructions
    )


def _machine_arguments(file: Dockerfile, name: str) -> dict[str, str]:
    """Return what docker-builder takes from the names of images of virtual machines."""
    match = _VM.fullmatch(name)
    if match is None:
        return {}
    values = {"VM_IMAGE_NAME": match["name"], "VM_IMAGE_VERSION": match["version"]}
    return {name: value for name, value in values.items() if f"ARG {name}" in file.text}


def _settle(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: _SETTLED.get(match[1], match[0]), text)
