"""Programs written in Go that builders run, compiled once into the user's cache.

The module is verified by the checksum database and by the sum here, what it is made of by its
own go.sum, which is part of it; then ``go install`` compiles it where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.proc import Runner
from buildkit.store import Store, note_use, read_sealed, write_sealed
from buildkit.toolchain import Toolchain
from buildkit.toolchain.environment import child_environment, read_settings
from buildkit.toolchain.provision import module_download


class GoTool(Struct, frozen=True, kw_only=True):
    """One program at one release."""

    name: str
    module: str
    version: str
    sum: str
    """go.sum's ``h1:`` of the module."""
    package: str
    """Its main package, relative to the module."""


class _Record(msgspec.Struct, frozen=True):
    """Which program a key gave."""

    digest: str


class GoTools(Struct, frozen=True, kw_only=True):
    """Compiles programs, or finds them in the cache.

    Attributes:
        store: keeps them.
        release: which Go compiles; programs of different ones are kept apart.
        go: gives it, when something must be compiled.
        runner: starts it.
        environ: the user's environment.
        say: tells the user what is fetched.
        offline: fetch nothing.
    """

    store: Store
    release: str
    go: Callable[[], Toolchain]
    runner: Runner
    environ: Mapping[str, str]
    say: Callable[[str], None]
    offline: bool = False

    def obtain(self, tool: GoTool) -> Path:
        """Return the blob of a program; it is not executable where it lies.

        Raises:
            FetchError: it cannot be had, or is not what is pinned.
            BuildError: it does not compile.
        """
        place = self._place(tool)
        with self.store.lock(f"tool-{place.stem[:12]}"):
            known = self._known(place)
            if known is None:
                known = self._make(tool, place)
            return known

    def _known(self, place: Path) -> Path | None:
        try:
            record = decode_json(read_sealed(place) or b"", _Record)
            path = self.store.get(Digest.parse(record.digest))
        except (msgspec.MsgspecError, ValueError):
            return None
        note_use(place)
        return path

    def _place(self, tool: GoTool) -> Path:
        key = Digest.of_json(["tool", tool.module, tool.version, tool.sum, self.release])
        return self.store.root / "tools" / f"{key.hex}.json"

    def _make(self, tool: GoTool, place: Path) -> Path:
        if self.offline:
            raise FetchError(
                f"{tool.name} {tool.version} is not in the cache, and this run is offline",
                resolution="Run once without --offline.",
            )
        go = self.go()
        self.say(f"{tool.name} {tool.version} is fetched and compiled by {go.release}")
        with self.store.workspace() as work:
            modcache = work / "mod"
            modcache.mkdir()
            digest, path = self.store.put_file(self._install(tool, go, modcache))
        write_sealed(place, msgspec.json.encode(_Record(digest=str(digest))))
        return path

    def _install(self, tool: GoTool, go: Toolchain, modcache: Path) -> Path:
        module = f"{tool.module}@{tool.version}"
        tree, found = module_download(go, module, self.environ, self.runner, modcache)
        if found != tool.sum:
            raise FetchError(
                f"{module} is not what this release of the toolkit was made for",
                details=f"Expected {tool.sum}, got {found}.",
                resolution="Do not use it before you know why: ask whoever serves GOPROXY.",
            )
        settings = read_settings(go, self.environ, self.runner)
        # Its modules go where those of every build go, and are not fetched again for the next.
        extra = {"GOBIN": str(modcache.parent), "CGO_ENABLED": "0", "GOWORK": "off"}
        self.runner.run(
            [str(go.go), "install", "-trimpath", "-buildvcs=false", "-mod=readonly", tool.package],
            env=child_environment(go, settings, self.environ, extra),
            cwd=tree,
        ).check(f"{tool.name} {tool.version} cannot be compiled by {go.release}")
        return modcache.parent / tool.name
