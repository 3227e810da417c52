"""From configuration and settings to the graph of units; pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from buildkit.config.interpolate import interpolate
from buildkit.config.load import Project
from buildkit.config.model import Image
from buildkit.config.problems import near_miss
from buildkit.errors import UsageError
from buildkit.plan.binary_units import add_binaries, add_fetches
from buildkit.plan.command_units import add_commands
from buildkit.plan.draft import Draft, Facts
from buildkit.plan.image_units import add_bases, add_image, mirror_notes
from buildkit.plan.options import Goal
from buildkit.plan.package_units import add_packages
from buildkit.plan.settings import Settings
from buildkit.plan.sink_units import add_archives, add_layout, add_load, add_push
from buildkit.plan.units import BuildImage, BuildPackage, Compile, Kind, Unit, image_name
from buildkit.plan.unlocked import unlocked_notes, unpinned_notes

_GOALS = {
    Kind.BINARY: frozenset({Goal.BUILD}),
    Kind.FETCH: frozenset({Goal.BUILD, Goal.ENVOY}),
    Kind.COMMAND: frozenset({Goal.BUILD}),
    Kind.BASE: frozenset[Goal](),
    Kind.IMAGE: frozenset({Goal.DOCKER}),
    Kind.PUSH: frozenset({Goal.DOCKER}),
    Kind.LOAD: frozenset({Goal.DOCKER}),
    Kind.LAYOUT: frozenset({Goal.DOCKER}),
    Kind.OCI_ARCHIVE: frozenset({Goal.DOCKER}),
    Kind.DOCKER_ARCHIVE: frozenset({Goal.DOCKER}),
    Kind.DEB: frozenset({Goal.PACKAGE}),
    Kind.RPM: frozenset({Goal.PACKAGE}),
}
"""Which goals want a kind of unit; what no goal wants is made only where it is needed."""


class Graph(Struct, frozen=True, kw_only=True):
    """Units in an order in which each comes after what it needs."""

    units: tuple[Unit, ...]
    missing: tuple[tuple[str, str], ...] = ()
    """Unit id that the configuration does not have, and why; nothing is wrong."""
    blocked: tuple[tuple[str, str], ...] = ()
    """Unit id that was asked for and cannot be made, and why."""
    notes: tuple[str, ...] = ()


def build_graph(
    project: Project, settings: Settings, facts: Facts, goals: frozenset[Goal]
) -> Graph:
    """Make every unit that the goals want, with all that those need.

    Raises:
        UsageError: ``--only`` names nothing of the project.
    """
    draft = Draft(project=project, settings=settings, facts=facts)
    for platform in settings.platforms:
        add_binaries(draft, platform)
        add_fetches(draft, platform)
        add_bases(draft, platform)
    add_commands(draft)
    for platform in settings.platforms:
        add_packages(draft, platform)
        for name in draft.config.images:
            add_image(draft, name, platform)
    for name in draft.config.images:
        add_load(draft, name)
        add_push(draft, name)
        add_layout(draft, name)
        add_archives(draft, name)
    if Goal.DOCKER in goals:
        _note_unpushed(draft)
    _check_only(draft)
    chosen: dict[str, None] = {}
    for unit in draft.units.values():
        is_wanted = _wanted(unit.id, goals, settings, draft.config.images)
        if is_wanted and unit.id not in draft.tools:
            _close(unit, draft.units, chosen)

    def asked(reasons: dict[str, str]) -> tuple[tuple[str, str], ...]:
        images = draft.config.images
        return tuple(i for i in reasons.items() if _wanted(i[0], goals, settings, images))

    units = tuple(draft.units[identity] for identity in chosen)
    bases = (text for identity, text in draft.base_notes.items() if identity in chosen)
    mirrors = mirror_notes(units, draft.config.mirrors)
    return Graph(
        units=units,
        missing=asked(draft.missing),
        blocked=asked(draft.blocked),
        notes=(
            *settings.notes,
            *draft.notes,
            *bases,
            *mirrors,
            *unlocked_notes(units),
            *unpinned_notes(units),
        ),
    )


def matches(unit: str, pattern: str) -> bool:
    """Tell whether a pattern names a unit: name or kind/name, either with @platform.

    The name of an image stands for all its variants.
    """
    kind_name, _, platform = unit.partition("@")
    kind, _, name = kind_name.partition("/")
    forms = {unit, kind_name, name, f"{name}@{platform}"}
    if kind != Kind.BASE:
        image = image_name(name)
        forms |= {image, f"{kind}/{image}", f"{image}@{platform}", f"{kind}/{image}@{platform}"}
    return pattern in forms


def settle_volatile(unit: Unit, values: dict[str, str]) -> Unit:
    """Make the volatile stamps and labels of a unit stable, for --stamp, CI and releases."""
    match unit.action:
        case Compile() as action:
            settled = tuple((k, interpolate(v, values)) for k, v in action.volatile_stamps)
            stamps = (*action.stamps, *settled)
            return replace(unit, action=replace(action, stamps=stamps, volatile_stamps=()))
        case BuildImage() as action:
            settled = tuple((k, interpolate(v, values)) for k, v in action.volatile_labels)
            labels = (*action.labels, *settled)
            return replace(unit, action=replace(action, labels=labels, volatile_labels=()))
        case BuildPackage() as action:
            return replace(unit, action=replace(action, created=values["created"]))
        case _:
            return unit


def _wanted(
    identity: str, goals: frozenset[Goal], settings: Settings, images: Mapping[str, Image]
) -> bool:
    kind = Kind(identity.partition("/")[0])
    if not _GOALS[kind] & goals:
        return False
    # Istio's DOCKER_TARGETS says nothing of binaries.
    of_images = _GOALS[kind] == {Goal.DOCKER}
    only = settings.only or (settings.only_images if of_images else ())
    if only:
        return any(matches(identity, pattern) for pattern in only)
    name = image_name(identity.partition("@")[0].partition("/")[2])
    return not of_images or images[name].default


def _note_unpushed(draft: Draft) -> None:
    """Say that images stay here, where somebody who names a hub may expect otherwise."""
    for destination in draft.settings.destinations:
        if not destination.push and not destination.is_loopback:
            draft.notes.append(
                f"nothing is pushed to {destination.hub.text}: "
                "that takes --push, or registry.push = true"
            )


def _check_only(draft: Draft) -> None:
    identities = [*draft.units, *draft.missing, *draft.blocked]
    config = draft.config
    names = {*config.binaries, *config.fetch, *config.command, *config.images, *config.packages}
    for pattern in draft.settings.only:
        if pattern not in names and not any(matches(i, pattern) for i in identities):
            raise UsageError(f"--only {pattern}: no such unit", details=near_miss(pattern, names))


def _close(unit: Unit, units: dict[str, Unit], chosen: dict[str, None]) -> None:
    for need in unit.needs:
        _close(units[need], units, chosen)
    chosen[unit.id] = None
