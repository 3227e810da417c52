"""Units of images: their bases, and each image of each platform in its variants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from buildkit.config.check import image_platforms
from buildkit.config.check_packages import package_files
from buildkit.config.commands import has_output
from buildkit.config.interpolate import interpolate
from buildkit.config.model import Base, Image
from buildkit.errors import ConfigError
from buildkit.plan.binary_units import command_id
from buildkit.plan.command_units import command_folder, commands_of, place_of
from buildkit.plan.dockerfile_units import (
    check_declared,
    dockerfile_arguments,
    meaning_of,
    staged,
)
from buildkit.plan.draft import Draft, Texts, split_stable
from buildkit.plan.outline import Outline, Start
from buildkit.plan.package_units import PACKAGES, package_unit
from buildkit.plan.units import (
    AssembleBase,
    BuildImage,
    Kind,
    Unit,
    unit_id,
)
from buildkit.plan.unlocked import LABEL, unlocked_names
from buildkit.plan.variants import (
    ImageVariant,
    chosen_variants,
    image_variants,
    same_variant,
)
from buildkit.platform import Platform
from buildkit.reference import Reference, mirrored

_RUN = re.compile(r"^\s*(?:ONBUILD\s+)?RUN\s", re.IGNORECASE | re.MULTILINE)
_OCI = "org.opencontainers.image"


def add_bases(draft: Draft, platform: Platform) -> None:
    """Add the unit of every base for a Linux platform."""
    if platform.os == "linux":
        for name, base in draft.config.bases.items():
            _add_base(draft, name, base, platform)


def _add_base(draft: Draft, name: str, base: Base, platform: Platform) -> str:
    lock = draft.project.lock
    pinned = base.reference.partition("@")[2] if base.kind == "registry" else ""
    key = base.reference if name not in draft.config.bases else name
    action = AssembleBase(
        name=name,
        base=base,
        packages=lock.debian.get(name, {}).get(platform.arch, ()),
        archive=base.archive or draft.facts.archive,
        digest=pinned or lock.registry.get(key, {}).get(str(platform), ""),
        assembler=draft.facts.assembler,
    )
    unit = Unit(kind=Kind.BASE, name=name, platform=platform, action=action)
    draft.units.setdefault(unit.id, unit)
    return unit.id


def mirror_notes(units: Iterable[Unit], mirrors: Mapping[str, str]) -> tuple[str, ...]:
    """Say once per base where it is read from, if that is not where its name says."""
    notes: dict[str, None] = {}
    for action in (unit.action for unit in units):
        if isinstance(action, AssembleBase) and action.base.kind == "registry":
            reference = Reference.parse(action.base.reference)
            place = mirrored(reference, mirrors)
            if place != reference:
                words = f"is read from the mirror {place.name}, not {reference.name}"
                notes[f"base {action.name} {words}"] = None
    return tuple(notes)


def add_image(draft: Draft, name: str, platform: Platform) -> None:
    """Add the chosen variants of an image for one platform, after the images they start from."""
    image = draft.config.images[name]
    if str(platform) not in image_platforms(draft.config, image):
        return
    chosen = chosen_variants(draft.config, image, draft.settings.variants)
    for variant in chosen:
        _add_variant(draft, name, variant, platform)
    if not chosen:
        for other in draft.settings.variants:
            identity = unit_id(Kind.IMAGE, f"{name}:{other}", platform)
            draft.missing[identity] = f"{name} has no variant {other}"


def _add_variant(draft: Draft, name: str, variant: ImageVariant, platform: Platform) -> str | None:
    """Add the unit that makes a variant, which may be that of an equal one, and return its id."""
    key = (name, variant.name, str(platform))
    if reason := _unrunnable(draft, name, draft.config.images[name], platform):
        # Who names the platform expects it; who names none gets what can be had.
        asked = draft.settings.platform_origin == "--platform" or any(
            "@" in pattern for pattern in draft.settings.only
        )
        identity = unit_id(Kind.IMAGE, variant.unit_name(name), platform)
        (draft.blocked if asked else draft.missing)[identity] = reason
        return None
    if key in draft.making:
        circle = [image for image, *_ in (*draft.making[draft.making.index(key) :], key)]
        raise ConfigError(
            f"cycle between images: {' -> '.join(circle)}",
            details="Their Dockerfiles start from each other.",
            resolution="Mend a FROM, or what images.<name>.replaces says of it.",
        )
    if key not in draft.made:
        draft.making.append(key)
        made = _image(draft, name, variant, platform)
        draft.making.pop()
        if made is None:
            return None
        aside = draft.aside()
        for other in image_variants(draft.config, draft.config.images[name]):
            first = made if other == variant else _image(aside, name, other, platform)
            if first is not None and first.essence == made.essence:
                draft.units.setdefault(first.unit.id, first.unit)
                draft.made[key] = first.unit.id
                break
    return draft.made[key]


def _is_unit(need: str) -> bool:
    return not need.startswith("file:")


class _Made(Struct, frozen=True, kw_only=True):
    """A unit, and what it is made from: equal where two variants give one result."""

    unit: Unit
    essence: object


class _Parts(Struct, frozen=True, kw_only=True):
    """What the template or the Dockerfile of an image gives to its unit."""

    base: str
    context: Texts
    starts: Texts = ()
    args: Texts = ()
    outline: Outline | None = None
    commands: tuple[str, ...] = ()
    """Unit ids of commands whose outputs it copies by their names."""


def _image(draft: Draft, name: str, variant: ImageVariant, platform: Platform) -> _Made | None:
    image = draft.config.images[name]
    own = variant.unit_name(name)
    of_kind = _of_dockerfile if image.dockerfile else _of_template
    parts = of_kind(draft, name, variant, platform)
    if parts is None:
        return None
    made = tuple(need for _, need in parts.context if _is_unit(need))
    needs = (*made, *parts.commands, *commands_of(draft, image.files.values(), platform))
    if absent := [need for need in needs if need not in draft.units]:
        reason = f"needs {', '.join(absent)}, which does not exist"
        draft.blocked[unit_id(Kind.IMAGE, own, platform)] = reason
        return None
    values = draft.values(platform)
    bases = (unit for _, unit in parts.starts)
    # The engine looks at the programs that a package will install.
    packages = [draft.units[need] for need in made if draft.units[need].kind in PACKAGES]
    packed = [unit for package in packages for unit in package.needs]
    every = tuple(dict.fromkeys((parts.base, *bases, *needs, *packed)))
    labels, volatile = split_stable(_labels(draft, name, image), values)
    if names := unlocked_names(every, draft.units):
        labels = (*labels, (LABEL, names))
    variables = [(key, values[key]) for key in ("version", "project", "hub")]
    variables += [(f"vars.{k}", interpolate(v, values)) for k, v in image.variables.items()]
    action = BuildImage(
        name=own,
        image=image,
        template=_template(draft, name, image),
        is_template=not image.dockerfile,
        base=parts.base,
        starts=parts.starts,
        args=parts.args,
        context=parts.context,
        variables=() if image.dockerfile else tuple(variables),
        labels=labels,
        volatile_labels=volatile,
        engine=draft.settings.engine,
    )
    unit = Unit(kind=Kind.IMAGE, name=own, platform=platform, action=action, needs=every)
    return _Made(unit=unit, essence=(replace(action, name=name, args=()), parts.outline))


def _of_template(
    draft: Draft, name: str, variant: ImageVariant, platform: Platform
) -> _Parts | None:
    image = draft.config.images[name]
    base = _choose_base(draft, name, variant, platform)
    if base is None:
        return None
    outputs = _outputs(draft, platform)
    named = tuple((name, outputs[name]) for name in (*image.binaries, *image.packages))
    return _Parts(
        base=base,
        context=(*named, *_files(draft, image, platform)),
        commands=_own_names(draft, named, platform),
    )


def _of_dockerfile(
    draft: Draft, name: str, variant: ImageVariant, platform: Platform
) -> _Parts | None:
    image, project = draft.config.images[name], draft.project
    args = dockerfile_arguments(project, name, variant, draft.values(platform))
    path = project.root / image.dockerfile
    outline = draft.facts.outline(path, args, platform, image.target)
    check_declared(project, name, outline)
    found = {start: _start(draft, start, variant) for start in (*outline.starts, outline.base)}
    problems = [f"{start.name}: {problem}" for start, (_, problem) in found.items() if problem]
    if problems:
        identity = unit_id(Kind.IMAGE, variant.unit_name(name), platform)
        draft.blocked[identity] = f"no base ({'; '.join(dict.fromkeys(problems))})"
        return None
    outputs = _outputs(draft, platform)
    copied = staged(image, outline, platform, outputs)
    return _Parts(
        base=found[outline.base][0],
        starts=tuple((start.name, unit) for start, (unit, _) in found.items()),
        context=(*copied, *_files(draft, image, platform)),
        args=tuple(sorted((k, text) for k, text in args.items() if k in outline.declared)),
        outline=outline,
        commands=_own_names(draft, copied, platform),
    )


def _start(draft: Draft, start: Start, variant: ImageVariant) -> tuple[str, str | None]:
    """Return the unit that a name after FROM means, and why that cannot be had."""
    meaning = meaning_of(draft.config, start, variant)
    if meaning.base is not None:
        unit = _add_base(draft, meaning.name, meaning.base, start.platform)
    elif meaning.name in draft.config.bases:
        unit = _add_base(draft, meaning.name, draft.config.bases[meaning.name], start.platform)
    else:
        unit = _image_unit(draft, meaning.name, variant, start.platform)
    return unit, _base_problem(draft, unit)


def _outputs(draft: Draft, platform: Platform) -> dict[str, str]:
    """Return what images may copy of our own by name, with its unit or a command's output."""
    config = draft.config
    found = {file: package_unit(file, platform) for file in package_files(config)}
    for name, command in config.command.items():
        if has_output(command, name):
            found[name] = f"file:{command_folder(draft, name, platform) / name}"
    found |= {name: unit_id(Kind.FETCH, name, platform) for name in config.fetch}
    return found | {name: unit_id(Kind.BINARY, name, platform) for name in config.binaries}


def _template(draft: Draft, name: str, image: Image) -> Path:
    return draft.project.root / (
        image.dockerfile or image.template or f"images/{name}/Dockerfile.j2"
    )


def _unrunnable(draft: Draft, name: str, image: Image, platform: Platform) -> str:
    """Say why programs that a Dockerfile runs do not run here; empty where it runs none."""
    daemon, template = draft.facts.daemon, _template(draft, name, image)
    if daemon is None or daemon.arch == platform.arch or not template.is_file():
        return ""
    if not _RUN.search(template.read_text(encoding="utf-8", errors="replace")):
        return ""
    reason = draft.facts.unrunnable(platform.arch)
    return f"its RUN needs emulation: {reason}" if reason else ""


def _own_names(draft: Draft, taken: Texts, platform: Platform) -> tuple[str, ...]:
    """Return the units of the commands whose outputs are taken by the commands' own names."""
    needs = {need for _, need in taken}
    own = {
        name: f"file:{command_folder(draft, name, platform) / name}"
        for name in draft.config.command
    }
    return tuple(command_id(draft.config, name, platform) for name in own if own[name] in needs)


def _files(draft: Draft, image: Image, platform: Platform) -> Texts:
    return tuple(
        (name, f"file:{place_of(draft, file, platform)}")
        for name, file in sorted(image.files.items())
    )


def _labels(draft: Draft, name: str, image: Image) -> dict[str, str]:
    project = draft.config.project
    labels = {
        f"{_OCI}.title": name,
        f"{_OCI}.description": image.description,
        f"{_OCI}.version": "${version}",
        f"{_OCI}.source": project.url,
        f"{_OCI}.licenses": project.licenses,
        f"{_OCI}.revision": "${git.revision}",
        f"{_OCI}.created": "${created}",
    }
    return {key: text for key, text in labels.items() if text}


def _choose_base(draft: Draft, name: str, variant: ImageVariant, platform: Platform) -> str | None:
    reasons: list[str] = []
    own = variant.unit_name(name)
    image = unit_id(Kind.IMAGE, own, platform)
    for written in draft.config.images[name].base:
        base = variant.base.get(written, written)
        if base in draft.config.images:
            identity = _image_unit(draft, base, variant, platform)
        else:
            identity = unit_id(Kind.BASE, base, platform)
        problem = _base_problem(draft, identity)
        if problem is None:
            if reasons:
                text = f"{own}@{platform} uses base {base}: {'; '.join(reasons)}"
                draft.base_notes[image] = text
            return identity
        reasons.append(f"{base}: {problem}")
    draft.blocked[image] = f"no base ({'; '.join(reasons)})"
    return None


def _image_unit(draft: Draft, name: str, variant: ImageVariant, platform: Platform) -> str:
    """Add the image that another of a variant starts from, and return its unit."""
    image = draft.config.images[name]
    other = same_variant(image_variants(draft.config, image), variant)
    missing = unit_id(Kind.IMAGE, other.unit_name(name), platform)
    if str(platform) not in image_platforms(draft.config, image):
        return missing
    return _add_variant(draft, name, other, platform) or missing


def _base_problem(  # noqa: PLR0911 - one for each kind
    draft: Draft, identity: str
) -> str | None:
    unit = draft.units.get(identity)
    if unit is None:
        return "it does not exist for this platform"
    action = unit.action
    if not isinstance(action, AssembleBase):
        return None
    is_cached = identity in draft.facts.cached_bases
    match action.base.kind:
        case "debian" if {pin.name for pin in action.packages} != set(action.base.packages):
            return "its packages are not locked, run `invoke lock`"
        case "debian" if not action.archive and not is_cached:
            return "no Debian archive is known here, name one with --debian-archive"
        case "bootstrap" if draft.facts.no_bootstrap and not is_cached:
            return draft.facts.no_bootstrap
        case "registry" if not action.digest and not is_cached:
            locked = ", ".join(draft.project.lock.registry.get(action.name, {}))
            others = f" for {unit.platform}, but for {locked}" if locked else ""
            return f"its digest is not locked{others}, run `invoke lock`"
        case _:
            return None
