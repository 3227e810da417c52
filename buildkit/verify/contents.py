"""Whether executables are the ones that were built, for the machine that they are filed under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.machine import Machine, parse_machine
from buildkit.platform import Platform
from buildkit.verify.check import Check
from buildkit.verify.members import Member

_FORMATS = frozenset({"ELF", "Mach-O"})
_NAMED = 3


class Expected(Struct, frozen=True, kw_only=True):
    """What should be in an archive, a package or an image.

    Attributes:
        platform: what its executables are for.
        units: those whose outputs are in it, with their digests.
        stamped: those of the units whose outputs hold the version.
        others: whether executables that no unit made may be in it, as those of a base are.
    """

    platform: Platform
    units: Mapping[str, Digest]
    stamped: frozenset[str] = frozenset()
    others: bool = False


def check_contents(subject: str, members: Iterable[Member], expected: Expected) -> Iterator[Check]:
    """Compare the executables in something with what was built."""
    known = {digest: unit for unit, digest in expected.units.items()}
    seen: set[Digest] = set()
    foreign, strange, unstamped, count = [], [], [], 0
    for member in members:
        seen.add(member.digest)
        if known.get(member.digest) in expected.stamped and not member.holds:
            unstamped.append(f"{member.name} lacks it")
        machines = _machines(member)
        if not machines:
            continue
        count += 1
        if not any(machine.fits(expected.platform) for machine in machines):
            foreign.append(f"{member.name} is {' and '.join(sorted(map(str, machines)))}")
        elif member.digest not in known and not expected.others:
            strange.append(f"{member.name} is none that was built ({member.digest.short})")
    what = f"{count} executables are for {expected.platform}"
    yield Check(subject=subject, compared=what, problem=_listed(foreign + strange))
    if not known:
        return
    missing = [unit for digest, unit in known.items() if digest not in seen]
    what = f"it holds what {len(known)} units made"
    yield Check(
        subject=subject,
        compared=what,
        problem=_listed([f"the output of {unit} is not in it" for unit in missing]),
    )
    if stamped := expected.stamped & expected.units.keys():
        what = f"{len(stamped)} of them hold the version"
        yield Check(subject=subject, compared=what, problem=_listed(unstamped))


def _machines(member: Member) -> frozenset[Machine]:
    if not member.mode & 0o111:
        return frozenset()
    with suppress(VerificationError):
        machines = parse_machine(member.head, member.name)
        return frozenset(item for item in machines if item.format in _FORMATS)
    return frozenset()


def _listed(problems: list[str]) -> str:
    more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return ", ".join(problems[:_NAMED]) + more
