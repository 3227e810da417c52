"""Packages for Linux distributions, written by nfpm from what was made before.

Everything that the bytes depend on is given: modes, owners, times, the host's name. What a
.deb must have and a project seldom writes, its copyright note and a changelog of one entry,
is made here where the package has no file of its own there.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.glibc import read_linkage
from buildkit.oci.image import timestamp
from buildkit.plan.package_units import format_of
from buildkit.plan.units import Artifact, BuildPackage, Kind, Progress, Step
from buildkit.proc import Runner
from buildkit.store import atomic_copy, atomic_path

_EXECUTABLE, _PLAIN = 0o755, 0o644
_FILE = "file:"


class PackageBuilder(Struct, frozen=True, kw_only=True):
    """Builder of BuildPackage units.

    Attributes:
        program: gives nfpm's blob.
        runner: starts it.
        epoch: the time that everything in a package has, in seconds since 1970.
        scratch: where work in progress lies.
        digest: of a file.
    """

    program: Callable[[], Path]
    runner: Runner
    epoch: Callable[[], int]
    scratch: Callable[[], Any]
    digest: Callable[[Path], str | None]

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Make each package.

        Raises:
            BuildError: nfpm refused; details hold its words.
            FetchError: nfpm cannot be had.
        """
        return tuple(self._package(step, given, progress) for step in steps)

    def _package(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action, kind = step.unit.action, step.unit.kind
        if not isinstance(action, BuildPackage):
            raise TypeError(step.unit.id)
        moment = datetime.fromtimestamp(self.epoch(), UTC)
        with self.scratch() as work:
            program = work / "nfpm"
            atomic_copy(self.program(), program, mode=_EXECUTABLE)
            progress(f"nfpm writes {action.output.name}")
            made = _made_files(action, moment, work) if kind is Kind.DEB else {}
            config = nfpm_config(action, kind, _sources(action, given) | made, moment)
            (work / "nfpm.json").write_bytes(msgspec.json.encode(config))
            with atomic_path(action.output) as temporary:
                argv = [program, "package", "-f", "nfpm.json", "-p", kind, "-t", temporary]
                # nfpm puts variables into some texts: this one stands for a dollar sign.
                environment = {"DOLLAR": "$", "SOURCE_DATE_EPOCH": str(self.epoch())}
                done = self.runner.run([str(a) for a in argv], env=environment, cwd=work)
                done.check(f"{step.unit.id} cannot be made")
        digest = self.digest(action.output)
        if digest is None:
            raise BuildError(f"{action.output} vanished")
        return Artifact(
            unit=step.unit.id,
            digest=digest,
            size=action.output.stat().st_size,
            path=action.output,
            problem=_problem(action, given),
        )


def nfpm_config(
    action: BuildPackage, kind: Kind, sources: Mapping[str, Path], moment: datetime
) -> dict[str, Any]:
    """Return nfpm's configuration, see https://nfpm.goreleaser.com/docs/configuration/.

    Args:
        action: the package.
        kind: its format.
        sources: path in the package and the file or directory that goes there.
        moment: the time of everything in it.
    """
    package, own = action.package, format_of(action.package, kind)
    summary = package.description.partition("\n")[0]
    config = {
        "name": action.name,
        "arch": action.architecture,
        "platform": "linux",
        "version": action.version,
        "version_schema": "none",
        "maintainer": package.maintainer,
        "description": package.description,
        "section": package.section,
        "homepage": action.url,
        "depends": [*package.depends, *own.depends, *_libraries(action, kind, sources)],
        "recommends": list(own.recommends),
        "conflicts": list(own.conflicts),
        "scripts": {name: str(path.resolve()) for name, path in action.scripts},
        "disable_globbing": True,
        "mtime": timestamp(int(moment.timestamp())),
        "contents": list(_contents(action, sources, moment)),
    }
    if kind is Kind.RPM:
        config["license"] = action.licenses or "unknown"
        rpm = {"summary": summary, "group": package.section, "buildhost": "localhost"}
        config["rpm"] = rpm
    return {
        key: _escaped(value) if key not in _VERBATIM else value for key, value in config.items()
    }


def _libraries(action: BuildPackage, kind: Kind, sources: Mapping[str, Path]) -> Iterator[str]:
    """Yield the dependency on the C library that the programs were linked to."""
    name = "libc6" if kind is Kind.DEB else "glibc"
    own = format_of(action.package, kind).depends
    # What a command makes may be a program too.
    linked = filter(None, map(read_linkage, filter(Path.is_file, sources.values())))
    needed = max((item.glibc for item in linked if item.glibc), default=None)
    if needed and not any(text.split()[0] == name for text in own):
        yield f"libc6 (>= {needed})" if kind is Kind.DEB else f"glibc >= {needed}"


_VERBATIM = frozenset({"contents", "scripts", "mtime"})
"""What nfpm puts no variables into."""


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return value.replace("$", "${DOLLAR}")
        case list():
            return [_escaped(item) for item in value]
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case _:
            return value


def _contents(
    action: BuildPackage, sources: Mapping[str, Path], moment: datetime
) -> Iterator[dict[str, Any]]:
    for place in action.package.directories:
        yield {"dst": place, "type": "dir", "file_info": _info(_EXECUTABLE, moment)}
    for place, target in action.package.links.items():
        # A link has the time of all else, and no mode of its own.
        yield {"src": target, "dst": place, "type": "symlink", "file_info": _info(0, moment)}
    programs = {place for place, need in action.contents if not need.startswith(_FILE)}
    for place, source in sources.items():
        kind = "config|noreplace" if place in action.package.config else ""
        # nfpm takes no path with '..' in it.
        for file, path in _files(source.resolve(), place):
            runs = place in programs or bool(path.stat().st_mode & 0o100)
            info = _info(_EXECUTABLE if runs else _PLAIN, moment)
            yield {"src": str(path), "dst": file, "type": kind, "file_info": info}


def _files(source: Path, place: str) -> Iterator[tuple[str, Path]]:
    if not source.is_dir():
        yield place, source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield f"{place}/{path.relative_to(source).as_posix()}", path


def _info(mode: int, moment: datetime) -> dict[str, Any]:
    owner = {"owner": "root", "group": "root", "mtime": timestamp(int(moment.timestamp()))}
    return {**owner, "mode": mode} if mode else owner


def _sources(action: BuildPackage, given: Mapping[str, Artifact]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place, need in action.contents:
        path = Path(need.removeprefix(_FILE)) if need.startswith(_FILE) else given[need].path
        if path is None:
            raise BuildError(f"{need} is no file, so it cannot be in a package")
        found[place] = path
    return found


def _made_files(action: BuildPackage, moment: datetime, work: Path) -> dict[str, Path]:
    """Write what Debian's policy wants, 12.5 and 12.7, where the package has no such file."""
    folder = f"/usr/share/doc/{action.name}"
    texts = {
        f"{folder}/copyright": _copyright(action, moment.year).encode(),
        f"{folder}/changelog.gz": gzip.compress(_changelog(action, moment).encode(), 9, mtime=0),
    }
    found: dict[str, Path] = {}
    for place, content in texts.items():
        if place not in dict(action.contents):
            found[place] = work / Path(place).name
            found[place].write_bytes(content)
    return found


def _copyright(action: BuildPackage, year: int) -> str:
    origin = f" from {action.url}" if action.url else ""
    lines = [f"This package holds {action.name}{origin}.", ""]
    lines += [f"Copyright {year} the authors of {action.name}, {action.package.maintainer}"]
    lines += [f"License: {action.licenses or 'not named'}", ""]
    lines += ["On Debian systems the texts of common licenses are in /usr/share/common-licenses,"]
    lines += [f"such as /usr/share/common-licenses/{action.licenses or 'Apache-2.0'}.", ""]
    return "\n".join(lines)


def _changelog(action: BuildPackage, moment: datetime) -> str:
    return (
        f"{action.name} ({action.version}) unstable; urgency=medium\n\n"
        f"  * Release {action.version}.\n\n"
        f" -- {action.package.maintainer}  {format_datetime(moment)}\n"
    )


def _problem(action: BuildPackage, given: Mapping[str, Artifact]) -> str:
    """Return why what it holds must not be published."""
    needs = (given[need] for _, need in action.contents if need in given)
    return next((f"holds {need.unit}, which {need.problem}" for need in needs if need.problem), "")
