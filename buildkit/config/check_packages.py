"""What must hold in ``[packages]``, and between them and the images that install them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from buildkit.config.check import binary_platforms, image_platforms
from buildkit.config.commands import COMMAND_FILE, check_output
from buildkit.config.interpolate import STABLE, has_lone_dollar, names_in
from buildkit.config.model import Config, Image
from buildkit.config.problems import Problems, near_miss
from buildkit.config.release_model import Package

_PERSON = re.compile(r"[^<>]+ <[^<>@\s]+@[^<>@\s]+>")


def check_packages(config: Config, root: Path, problems: Problems) -> None:
    """Add every mistake in packages to ``problems``."""
    for name, package in config.packages.items():
        path = f"packages.{name}"
        if name in config.images or name in config.binaries or name in config.fetch:
            problems.add(path, "an image or a binary has the same name")
        _platforms(config, package, path, problems)
        _texts(package, path, problems)
        _places(package, path, problems)
        for binary in package.binaries:
            _binary(config, package, binary, f"{path}.binaries", problems)
        _sources(config, package, path, root, problems)
    for name, image in config.images.items():
        _image(config, name, image, problems)


def package_platforms(config: Config, package: Package) -> tuple[str, ...]:
    """Return a package's platforms: its own, or the Linux ones of the matrix."""
    if package.platforms is not None:
        return package.platforms
    return tuple(name for name in config.matrix.platforms if name.startswith("linux/"))


def package_files(config: Config) -> dict[str, Package]:
    """Return the names of all packages' files, as images stage them."""
    return {
        f"{name}.{form}": package
        for name, package in config.packages.items()
        for form in package.formats
    }


def _platforms(config: Config, package: Package, path: str, problems: Problems) -> None:
    for platform in package.platforms or ():
        if platform not in config.matrix.platforms:
            hint = near_miss(platform, config.matrix.platforms)
            problems.add(f"{path}.platforms", f"unknown platform '{platform}'", hint)
        elif not platform.startswith("linux/"):
            problems.add(f"{path}.platforms", f"packages are for Linux, not {platform}")
    if not package.formats:
        problems.add(f"{path}.formats", "no format", "name deb, rpm or both")


def _texts(package: Package, path: str, problems: Problems) -> None:
    for key, text in (("description", package.description), ("section", package.section)):
        for name in sorted(names_in(text) - STABLE):
            hint = near_miss(name, STABLE)
            problems.add(f"{path}.{key}", f"unknown variable '${{{name}}}'", hint)
        if has_lone_dollar(text):
            problems.add(f"{path}.{key}", "a lone '$'", "write ${name}, or $$ for a dollar")
        if not text.strip():
            problems.add(f"{path}.{key}", "it is empty")
    if not _PERSON.fullmatch(package.maintainer):
        problems.add(
            f"{path}.maintainer",
            f"'{package.maintainer}' is no name with an address",
            "write it as Name <mail@example.com>",
        )


def _places(package: Package, path: str, problems: Problems) -> None:
    taken: dict[str, str] = {}
    for key, places in _tables(package).items():
        for place in places:
            if not place.startswith("/") or str(Path(place)) != place or ".." in Path(place).parts:
                problems.add(f"{path}.{key}", f"'{place}' is no absolute path without '..'")
            other = taken.setdefault(place, key)
            # What one format has may be something else in the other.
            if other != key and {other, key} != {"deb.files", "rpm.files"}:
                problems.add(f"{path}.{key}", f"'{place}' stands in {other} too")
    doubled = {p for p in package.binaries.values() if list(package.binaries.values()).count(p) > 1}
    for place in sorted(doubled):
        problems.add(f"{path}.binaries", f"'{place}' is the place of two binaries")


def _tables(package: Package) -> Mapping[str, tuple[str, ...]]:
    return {
        "binaries": tuple(package.binaries.values()),
        "files": tuple(package.files),
        "config": tuple(package.config),
        "directories": package.directories,
        "links": tuple(package.links),
        "deb.files": tuple(package.deb.files),
        "rpm.files": tuple(package.rpm.files),
    }


def _binary(config: Config, package: Package, binary: str, path: str, problems: Problems) -> None:
    known = config.binaries.keys() | config.fetch.keys()
    if binary not in known:
        problems.add(path, f"unknown binary '{binary}'", near_miss(binary, known))
        return
    there = binary_platforms(config, binary)
    missing = [p for p in package_platforms(config, package) if p not in there]
    if missing:
        problems.add(
            path,
            f"'{binary}' is not built for {', '.join(missing)}, which the package is",
            "give the package its own platforms or the binary more",
        )


def _sources(config: Config, package: Package, path: str, root: Path, problems: Problems) -> None:
    there = package_platforms(config, package)
    tables = {
        "files": package.files,
        "config": package.config,
        "deb.files": package.deb.files,
        "rpm.files": package.rpm.files,
    }
    for key, files in tables.items():
        for file in files.values():
            if file.startswith(COMMAND_FILE):
                check_output(config, file, there, f"{path}.{key}", problems)
            elif not (root / file).exists():
                problems.add(f"{path}.{key}", f"'{file}' does not exist")
    scripts = package.scripts
    for key in scripts.__struct_fields__:
        script = getattr(scripts, key)
        if script and not (root / script).is_file():
            problems.add(f"{path}.scripts.{key}", f"'{script}' does not exist")


def _image(config: Config, name: str, image: Image, problems: Problems) -> None:
    path, known = f"images.{name}.packages", package_files(config)
    for file in image.packages:
        if file not in known:
            problems.add(path, f"unknown package '{file}'", near_miss(file, known))
            continue
        there = package_platforms(config, known[file])
        missing = [p for p in image_platforms(config, image) if p not in there]
        if missing:
            problems.add(path, f"'{file}' is not made for {', '.join(missing)}")
        if file in image.binaries or file in image.files:
            problems.add(path, f"'{file}' is the name of another file too")
