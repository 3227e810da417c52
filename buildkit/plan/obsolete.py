"""Records of units that targets.toml no longer has, and the files they made."""

from __future__ import annotations

from pathlib import Path

from buildkit.config.check import binary_platforms, image_platforms
from buildkit.config.check_packages import package_platforms
from buildkit.config.model import Config
from buildkit.plan.hashing import Hasher
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Kind, image_name
from buildkit.plan.variants import image_variants


def obsolete_units(book: RecordBook, config: Config) -> tuple[str, ...]:
    """Return the ids of recorded units that no flags of any run could ask for now."""
    return tuple(unit for unit in book.own_units() if not _exists(unit, config))


def obsolete_output(unit: str, book: RecordBook, hasher: Hasher, out: Path) -> Path | None:
    """Return the file of an obsolete unit, if it is below ``out`` and still what was made.

    Of a command it is the directory of its outputs.
    """
    record = book.get(unit)
    path = Path(record.path) if record and record.path else None
    if record is None or path is None or out not in path.parents:
        return None
    if unit.startswith(f"{Kind.COMMAND}/"):
        # Its own directory; what it wrote into the source is the user's.
        return path if path.is_dir() and path.parent.name == Kind.COMMAND else None
    # What an image unit made is a description, under another digest than its file's.
    mine = unit.startswith(f"{Kind.IMAGE}/") or hasher.digest(path) == record.digest
    return path if mine and path.is_file() else None


def _exists(unit: str, config: Config) -> bool:  # noqa: PLR0911 - one for each kind
    kind, _, rest = unit.partition("/")
    name, _, platform = rest.partition("@")
    match kind:
        case Kind.BINARY:
            return name in config.binaries and platform in binary_platforms(config, name)
        case Kind.FETCH:
            # A local file given instead makes one for a platform that no source serves.
            return name in config.fetch and platform in config.matrix.platforms
        case Kind.COMMAND:
            command = config.command.get(name)
            return command is not None and platform in (command.platforms or ("",))
        case Kind.BASE:
            return _has_base(name, config) and platform in config.matrix.platforms
        case Kind.IMAGE:
            image = config.images.get(image_name(name))
            return _has_variant(name, config) and (
                image is not None and platform in image_platforms(config, image)
            )
        case Kind.PUSH | Kind.LOAD | Kind.LAYOUT | Kind.OCI_ARCHIVE | Kind.DOCKER_ARCHIVE:
            return _has_variant(name, config)
        case Kind.DEB | Kind.RPM:
            package = config.packages.get(name)
            known = package is not None and kind in package.formats
            return known and platform in package_platforms(config, config.packages[name])
        case _:
            return True


def _has_base(name: str, config: Config) -> bool:
    # Dockerfiles name bases too; which they do is not known here.
    return name in config.bases or any(image.dockerfile for image in config.images.values())


def _has_variant(unit_name: str, config: Config) -> bool:
    image = config.images.get(image_name(unit_name))
    if image is None:
        return False
    variants = image_variants(config, image)
    return unit_name in {item.unit_name(image_name(unit_name)) for item in variants}
