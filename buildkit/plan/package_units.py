"""Units of packages: one .deb or .rpm of one platform."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from buildkit.config.check_packages import package_platforms
from buildkit.config.interpolate import interpolate
from buildkit.config.release_model import Package, PackageFormat
from buildkit.errors import UsageError
from buildkit.plan.command_units import commands_of, place_of
from buildkit.plan.draft import Draft, Texts
from buildkit.plan.package_version import package_version
from buildkit.plan.units import BuildPackage, Kind, Unit, unit_id
from buildkit.platform import Platform

PACKAGES = frozenset({Kind.DEB, Kind.RPM})
NFPM = "2.43.0"
"""The release of nfpm; other releases may write other bytes."""


def add_packages(draft: Draft, platform: Platform) -> None:
    """Add the units of every package that exists for a platform."""
    for name, package in draft.config.packages.items():
        for form in package.formats:
            _add(draft, name, Kind(form), platform)


def package_unit(file: str, platform: Platform) -> str:
    """Return the id of the unit that makes ``NAME.deb`` or ``NAME.rpm`` for a platform."""
    name, _, form = file.rpartition(".")
    return unit_id(Kind(form), name, platform)


def _add(draft: Draft, name: str, kind: Kind, platform: Platform) -> None:
    package, identity = draft.config.packages[name], unit_id(kind, name, platform)
    if str(platform) not in package_platforms(draft.config, package):
        if platform.os == "linux":
            draft.missing[identity] = "targets.toml does not make it for this platform"
        return
    contents = _contents(draft, package, kind, platform)
    needs = tuple(need for _, need in contents if not need.startswith("file:"))
    needs += commands_of(draft, _files(package, kind).values(), platform)
    absent = [need for need in needs if need not in draft.units]
    if absent:
        draft.blocked[identity] = f"needs {', '.join(absent)}, which does not exist"
        return
    try:
        version = package_version(draft.settings.version.text)
    except UsageError as error:
        # Binaries and images take any version.
        draft.blocked[identity] = f"{error.brief}; {error.resolution}"
        return
    values, config = draft.values(platform), draft.config
    action = BuildPackage(
        name=name,
        package=replace(
            package,
            description=interpolate(package.description, values),
            section=interpolate(package.section, values),
        ),
        version=version,
        architecture=_architecture(platform),
        contents=contents,
        scripts=_scripts(draft, package),
        url=interpolate(config.project.url, values),
        licenses=interpolate(config.project.licenses, values),
        packager=f"nfpm {NFPM} {draft.facts.go_version}",
        output=draft.settings.out / platform.slug / "release" / f"{name}.{kind}",
    )
    draft.add(Unit(kind=kind, name=name, platform=platform, action=action, needs=needs))


def format_of(package: Package, kind: Kind) -> PackageFormat:
    """Return what a package has in one format beside what it has in all."""
    return package.deb if kind is Kind.DEB else package.rpm


def _contents(draft: Draft, package: Package, kind: Kind, platform: Platform) -> Texts:
    found = []
    for name, place in package.binaries.items():
        made = Kind.BINARY if name in draft.config.binaries else Kind.FETCH
        found.append((place, unit_id(made, name, platform)))
    for place, file in _files(package, kind).items():
        found.append((place, f"file:{place_of(draft, file, platform)}"))
    return tuple(sorted(found))


def _files(package: Package, kind: Kind) -> dict[str, str]:
    return {**package.files, **package.config, **format_of(package, kind).files}


def _scripts(draft: Draft, package: Package) -> tuple[tuple[str, Path], ...]:
    scripts = package.scripts
    given = ((name, getattr(scripts, name)) for name in scripts.__struct_fields__)
    return tuple((name, draft.project.root / file) for name, file in given if file)


def _architecture(platform: Platform) -> str:
    # GOARM is 7 where none is named, see https://go.dev/wiki/GoArm.
    if platform.arch == "arm":
        return f"arm{platform.variant.removeprefix('v') or 7}"
    return platform.arch
