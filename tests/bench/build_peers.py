"""Who compiles: our tool, `go build` by hand, and GoReleaser, with the same flags and outputs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from buildkit.digest import Digest
from buildkit.errors import BuildError
from tests.bench.build_results import done
from tests.bench.gomodule import BINARIES, EDITED, GROUPS, PLATFORMS, VERSION, GoModule
from tests.bench.measure import Argv, Job
from tests.bench.peers import ROOT

GORELEASER_MODULE = "github.com/goreleaser/goreleaser/v2@v2.12.7"
ABSENT = {
    "ko": "puts programs into compressed images and gives none of them out, and only for "
    "platforms that a base image has, so not for darwin; bench.images measures it",
}
"""Who is not among the tools that compile a matrix, and why."""

_STARTS_NOTHING = """\
import os, runpy, sys
def watch(event, arguments):
    if event in {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork"}:
        sys.stderr.write(f"starts {arguments[:2]}\\n")
        sys.stderr.flush()
        os._exit(97)
sys.addaudithook(watch)
runpy.run_module("invoke", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one tool leaves what it makes, and the cache of Go's that it uses.

    ``state`` holds ``out/<os>_<arch>/<binary>``, whoever wrote it.
    """

    module: GoModule
    state: Path
    gocache: Path

    @property
    def out(self) -> Path:
        """The directory of the platforms' directories."""
        return self.state / "out"

    @property
    def environ(self) -> dict[str, str]:
        """What every tool gets of the environment beyond the caller's."""
        return {
            "GOCACHE": str(self.gocache),
            "GOFLAGS": "-buildvcs=false",
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOENV": "off",
        }

    def job(self, *phases: Argv, environ: dict[str, str] | None = None) -> Job:
        """Return commands that run in the module, one after another."""
        return Job(
            phases=tuple((argv,) for argv in phases),
            folder=self.module.folder,
            environ={**self.environ, **(environ or {})},
        )

    def forget(self) -> None:
        """Remove all that earlier runs left, Go's cache excepted."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)

    def digests(self, platforms: tuple[str, ...] = PLATFORMS) -> dict[str, Digest]:
        """Return the digest of every binary that should be there, by its path below ``out``.

        Raises:
            BuildError: one is missing.
        """
        names = [f"{slug(platform)}/{name}" for platform in platforms for name in BINARIES]
        absent = [name for name in names if not (self.out / name).is_file()]
        if absent:
            raise BuildError(f"{self.state.name} did not make {', '.join(absent)}")
        return {name: Digest.of_file(self.out / name) for name in names}


def slug(platform: str) -> str:
    """Return the directory of a platform."""
    return platform.replace("/", "_")


def ldflags(module: GoModule, revision: str) -> str:
    """Return the linker's flags: the text is part of what Go writes into a binary."""
    version, commit = module.stamps
    return f"-s -w -X={version}={VERSION} -X={commit}={revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """The best sequence of `go build`: one per platform and group of settings."""

    place: Place

    def job(self, platforms: tuple[str, ...] = PLATFORMS) -> Job:
        """Return the whole sequence, stamped with what is checked out."""
        packages = {
            group: tuple(f"./cmd/{name}" for name in self.place.module.members(group))
            for group in GROUPS
        }
        return self.place.job(
            *(
                self._build(platform, group, named)
                for platform in platforms
                for group, named in packages.items()
            )
        )

    def least(self, platform: str) -> Job:
        """Return the one `go build` that an edited leaf needs."""
        return self.place.job(self._build(platform, BINARIES[EDITED], (f"./cmd/{EDITED}",)))

    def _build(self, platform: str, group: str, packages: tuple[str, ...]) -> Argv:
        system, _, arch = platform.partition("/")
        flags = ldflags(self.place.module, self.place.module.revision())
        return (
            *("env", f"GOOS={system}", f"GOARCH={arch}", "go", "build", "-trimpath"),
            *(f"-tags={','.join(GROUPS[group])}", f"-ldflags={flags}"),
            *("-o", f"{self.place.out / slug(platform)}/", *packages),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoReleaser:
    """`goreleaser build --snapshot --clean`: one `go build` per binary and platform."""

    place: Place
    program: Path

    @property
    def config(self) -> Path:
        """Its configuration, which lies outside the module."""
        return self.place.state.parent / f"{self.place.state.name}.json"

    def prepare(self) -> None:
        """Write the configuration; JSON is YAML."""
        builds = [self._build(name) for name in BINARIES]
        document = {"version": 2, "project_name": "bench", "dist": str(self.place.out)}
        self.config.write_text(json.dumps({**document, "builds": builds}))

    def job(self) -> Job:
        """Return the command for the whole matrix."""
        return self.place.job(self._argv())

    def single(self, platform: str) -> Job:
        """Return the command for the edited binary alone and one platform."""
        system, _, arch = platform.partition("/")
        return self.place.job(
            (*self._argv(), "--single-target", "--id", EDITED),
            environ={"GOOS": system, "GOARCH": arch},
        )

    def _argv(self) -> Argv:
        flags = ("build", "--snapshot", "--clean", "--config", str(self.config))
        return (str(self.program), *flags)

    def _build(self, name: str) -> dict[str, object]:
        return {
            "id": name,
            "main": f"./cmd/{name}",
            # With a directory in the name, and none of its own, it comes where the others have it.
            "binary": f"{{{{ .Os }}}}_{{{{ .Arch }}}}/{name}",
            "no_unique_dist_dir": True,
            "env": [f"{key}={value}" for key, value in self.place.environ.items()],
            "flags": ["-trimpath"],
            "tags": list(GROUPS[BINARIES[name]]),
            "ldflags": [ldflags(self.place.module, "{{ .FullCommit }}")],
            "targets": [slug(platform) for platform in PLATFORMS],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """This tool: `invoke build`."""

    place: Place

    def prepare(self) -> None:
        """Write the configuration."""
        (self.place.state / "targets.toml").write_text("".join(self._targets()))

    def job(self, *flags: str) -> Job:
        """Return the command for the whole matrix, or what flags choose of it."""
        return self._job((*self._start, "-m", "invoke"), *flags)

    def guarded(self) -> Job:
        """Return the same command, which fails as soon as it starts another program."""
        return self._job((*self._start, "-c", _STARTS_NOTHING))

    def listing(self) -> Job:
        """Return `invoke --list`."""
        argv = (*self._start, "-m", "invoke", "--search-root", str(ROOT), "--list")
        return self.place.job(argv)

    def check(self, output: str, made: frozenset[str]) -> None:
        """See that exactly some binaries were made, and the others found to be up to date.

        Args:
            output: what the command printed.
            made: ids of units.

        Raises:
            BuildError: it did something else.
        """
        units = json.loads(output)["units"]
        rest = {item["status"] for item in units} - {"done", "cached"}
        if done(output) != made or rest:
            raise BuildError(
                f"our tool made {sorted(done(output))}, not {sorted(made)}",
                details=" ".join(sorted(rest)),
            )

    @property
    def _start(self) -> Argv:
        return (sys.executable, "-P")

    def _job(self, start: Argv, *flags: str) -> Job:
        state = self.place.state
        return self.place.job(
            (
                *(*start, "--search-root", str(ROOT), "build", "--json"),
                *("--targets", str(state / "targets.toml"), "--out", str(self.place.out)),
                *("--version", VERSION, *flags),
            ),
            environ={"MESHWRIGHT_CACHE": str(state / "cache"), "CI": ""},
        )

    def _targets(self) -> Iterator[str]:
        source = json.dumps(str(self.place.module.folder))
        yield f'schema_version = 1\n[project]\nname = "bench"\nsource = {source}\n'
        yield "[version]\ngit = false\n[stamps]\n"
        for variable, value in self.place.module.stamps.items():
            text = "${version}" if value == "version" else f"${{{value}}}"
            yield f'"{variable}" = "{text}"\n'
        yield f'[matrix]\nplatforms = {json.dumps(PLATFORMS)}\ndefault = "all"\n'
        yield f"[go]\ntags = {json.dumps(GROUPS[''])}\n"
        for group, tags in GROUPS.items():
            if group:
                yield f"[go.group.{group}]\ntags = {json.dumps(tags)}\n"
        yield "[binaries]\n"
        for name, group in BINARIES.items():
            chosen = f', group = "{group}"' if group else ""
            yield f'{name} = {{ package = "./cmd/{name}"{chosen} }}\n'


def unit(name: str, platform: str) -> str:
    """Return the id of a binary's unit."""
    return f"binary/{name}@{platform}"
