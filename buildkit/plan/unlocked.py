"""What is not locked: a file in place of a pinned one, all made of it, and open bases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from buildkit.plan.units import AssembleBase, Download, Unit

LABEL = "org.meshwright.unlocked"
"""The label of an image that holds such a file: the names of what is not locked."""


def unlocked(units: Iterable[Unit]) -> dict[str, tuple[str, ...]]:
    """Return which units no lock vouches for, and because of which fetches, all by id.

    Args:
        units: with each after what it needs.
    """
    found: dict[str, tuple[str, ...]] = {}
    for unit in units:
        own = (unit.id,) if _is_given(unit) else ()
        below = (cause for need in unit.needs for cause in found.get(need, ()))
        if causes := tuple(dict.fromkeys((*own, *below))):
            found[unit.id] = causes
    return found


def unlocked_names(needs: Iterable[str], units: Mapping[str, Unit]) -> str:
    """Return the names of what is not locked among needs and theirs, with spaces between."""
    names: dict[str, None] = {}
    todo = list(needs)
    while todo:
        unit = units[todo.pop()]
        todo += unit.needs
        if _is_given(unit):
            names[unit.name] = None
    return " ".join(sorted(names))


def unlocked_notes(units: Iterable[Unit]) -> tuple[str, ...]:
    """Say which files stand in for pinned ones, and what that means."""
    fetches = [(unit, unit.action) for unit in units if isinstance(unit.action, Download)]
    given: dict[str, list[Unit]] = {}
    for unit, action in fetches:
        if action.override:
            given.setdefault(action.override.words, []).append(unit)
    names = {unit.name for members in given.values() for unit in members}
    notes = [
        f"{members[0].name} for {', '.join(str(unit.platform) for unit in members)} is {words}, "
        "which is not locked: nor is what is made of it, and a release refuses that"
        for words, members in given.items()
    ]
    notes += [
        f"{unit.name} for {unit.platform} stays the locked one: nothing given is for it"
        for unit, action in fetches
        if unit.name in names and action.sources and not action.override
    ]
    return tuple(notes)


def unpinned_notes(units: Iterable[Unit]) -> tuple[str, ...]:
    """Say what the lock does not pin, since nothing is used without a pin."""
    platforms: dict[str, list[str]] = {}
    for unit in units:
        action = unit.action
        if isinstance(action, Download) and not action.sources and not action.override:
            platforms.setdefault(unit.name, []).append(str(unit.platform))
    return tuple(
        f"{name} for {', '.join(found)} has no pin and will fail, with what needs it: "
        "run `invoke lock` where a source of it can be reached"
        for name, found in platforms.items()
    )


def open_bases(units: Iterable[Unit]) -> tuple[str, ...]:
    """Return the names of bases that nothing pins: systems of an archive that moves on."""
    actions = (unit.action for unit in units)
    names = {
        action.name
        for action in actions
        if isinstance(action, AssembleBase)
        and action.base.kind == "bootstrap"
        and not action.base.archive
    }
    return tuple(sorted(names))


def _is_given(unit: Unit) -> bool:
    return isinstance(unit.action, Download) and unit.action.override is not None
