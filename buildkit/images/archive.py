"""A Debian archive, read only as far as its signature reaches.

``InRelease`` is verified by gpgv against the host's Debian keyrings, the package
index against ``InRelease``, and a package against the index. The layout is that
of the Debian repository format (wiki.debian.org/DebianRepository/Format).
"""

from __future__ import annotations

import difflib
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.config.lock import PackagePin
from buildkit.digest import Digest
from buildkit.errors import ConfigError, EnvironmentMissingError, FetchError
from buildkit.http import HttpPool
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.store import Store

if TYPE_CHECKING:
    from debian.deb822 import Packages

COMPONENT = "main"
KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}") for suffix in ("gpg", "pgp")
)
"""Where Debian and Ubuntu's debian-archive-keyring package puts the archive's keys."""

_RELEASE_LIMIT = 8 << 20
_INDEX_LIMIT = 64 << 20
_ARCHITECTURES = {
    "386": "i386",
    "amd64": "amd64",
    "arm": "armhf",
    "arm64": "arm64",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_PACKAGE = re.compile(r"^Package: (\S+)$", re.MULTILINE)
_GPGV = "Install gpgv and debian-archive-keyring, or lock on a machine that has them."


def debian_architecture(platform: Platform) -> str:
    """Return Debian's name of a platform's architecture.

    Raises:
        ConfigError: Debian has no such platform.
    """
    name = _ARCHITECTURES.get(platform.arch) if platform.os == "linux" else None
    if name is None:
        raise ConfigError(
            f"Debian has no architecture for {platform}",
            resolution="Give the images of this platform another base.",
        )
    return name


def host_archive(
    runner: Runner, environ: Mapping[str, str], os_release: Mapping[str, str]
) -> str | None:
    """Return the URL of the Debian archive that apt uses on this machine, if there is one.

    Updates and security suites are not it, and neither is another distribution's
    archive. On a machine that never ran `apt-get update`, apt does not know whose
    archive a source is; then it is the one of the installed suite.

    Args:
        runner: starts apt-get.
        environ: the user's.
        os_release: what os-release(5) says of this machine, empty where there is none.
    """
    form = "$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)"
    for origin, component, codename, uri in _index_targets(runner, environ, form):
        if origin == "Debian" and component == COMPONENT and "-" not in codename:
            return uri
    if os_release.get("ID") != "debian":
        return None
    form = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
    for release, component, uri in _index_targets(runner, environ, form, "--no-release-info"):
        if component == COMPONENT and release == os_release.get("VERSION_CODENAME"):
            return uri
    return None


def _index_targets(
    runner: Runner, environ: Mapping[str, str], form: str, *flags: str
) -> Iterator[tuple[str, ...]]:
    """Yield the fields of apt's package indexes that come over HTTP; nothing without apt."""
    argv = ("apt-get", "indextargets", *flags, "--format", form, "Identifier: Packages")
    try:
        done = runner.run(argv, env=_tool_environ(environ), cwd=Path("/"))
    except EnvironmentMissingError:
        return
    count = form.count("|") + 1
    for line in done.stdout.decode("utf-8", "replace").splitlines() if not done.returncode else ():
        fields = tuple(line.split("|"))
        if len(fields) == count and fields[-1].startswith(("http://", "https://")):
            yield (*fields[:-1], fields[-1].rstrip("/"))


class DebianArchive(Struct, frozen=True, kw_only=True):
    """One suite of an archive.

    Args:
        url: the archive's root, without a slash at the end.
        suite: the codename, such as ``trixie``.
        pool: downloads.
        runner: starts gpgv.
        store: keeps indexes by their sha256.
        environ: PATH for gpgv comes from it.
        keyrings: OpenPGP keyrings; those that exist are used.
    """

    url: str
    suite: str
    pool: HttpPool
    runner: Runner
    store: Store
    environ: Mapping[str, str]
    keyrings: tuple[Path, ...] = KEYRINGS

    def current(self, names: Iterable[str], architecture: str) -> dict[str, Packages]:
        """Return what the suite has now of the named packages.

        Raises:
            ConfigError: it has no package of a name; near misses are named.
            FetchError: the index cannot be had or is not what was signed.
            EnvironmentMissingError: gpgv or a keyring is missing.
        """
        text = self._index(architecture)
        wanted = frozenset(names)
        found = _paragraphs(text, wanted)
        for name in sorted(wanted - found.keys()):
            near = difflib.get_close_matches(name, set(_PACKAGE.findall(text)), n=3)
            raise ConfigError(
                f"Debian {self.suite} has no package '{name}' for {architecture}",
                resolution=f"Did you mean {' or '.join(near)}?" if near else "",
            )
        return found

    def _index(self, architecture: str) -> str:
        from debian.deb822 import Release

        release = Release(self._verified_release())
        if self.suite not in {release.get("Codename"), release.get("Suite")}:
            raise FetchError(
                f"{self.url} has {release.get('Codename')} where {self.suite} should be"
            )
        path = f"{COMPONENT}/binary-{architecture}/Packages.xz"
        listed = {entry["name"]: entry for entry in release.get("SHA256", ())}
        if path not in listed:
            raise FetchError(f"{self.url} has no index of {self.suite} for {architecture}")
        digest = Digest(listed[path]["sha256"])
        if release.get("Acquire-By-Hash") == "yes":
            # An archive that is being updated then gives no mixture of old and new.
            path = f"{path.rpartition('/')[0]}/by-hash/SHA256/{digest.hex}"
        data = self._index_file(f"dists/{self.suite}/{path}", digest)
        return lzma.decompress(data).decode("utf-8")

    def _index_file(self, path: str, digest: Digest) -> bytes:
        cached = self.store.get(digest)
        if cached is not None:
            return cached.read_bytes()
        data = self._get(path, _INDEX_LIMIT)
        if Digest.of_bytes(data) != digest:
            raise FetchError(
                f"{self.url}: the index of {self.suite} is not what was signed",
                resolution="Try again later, or name another archive with --debian-archive.",
            )
        self.store.put_bytes(data)
        return data

    def _verified_release(self) -> str:
        keyrings = [path for path in self.keyrings if path.exists()]
        if not keyrings:
            raise EnvironmentMissingError(
                "the Debian archive cannot be verified: there is no Debian keyring",
                details=f"Looked for {', '.join(map(str, self.keyrings))}.",
                resolution=_GPGV,
            )
        with self.store.workspace() as folder:
            signed = folder / "InRelease"
            signed.write_bytes(self._get(f"dists/{self.suite}/InRelease", _RELEASE_LIMIT))
            flags = [part for path in keyrings for part in ("--keyring", str(path))]
            argv = ["gpgv", "--status-fd", "2", *flags, "--output", "-", str(signed)]
            env = {**_tool_environ(self.environ), "GNUPGHOME": str(folder)}
            try:
                done = self.runner.run(argv, env=env, cwd=folder)
            except EnvironmentMissingError as error:
                raise EnvironmentMissingError(
                    "the Debian archive cannot be verified: there is no gpgv",
                    details=error.details,
                    resolution=_GPGV,
                ) from error
        # Releases are signed by several keys, of which an older keyring lacks some,
        # so the exit status alone says nothing.
        status = done.stderr.decode("utf-8", "replace")
        if "[GNUPG:] GOODSIG" not in status or "[GNUPG:] BADSIG" in status:
            raise FetchError(
                f"the signature of Debian {self.suite} at {self.url} is not valid",
                details=status.strip(),
                resolution="Update the host's debian-archive-keyring, "
                "or name another archive with --debian-archive.",
            )
        return done.stdout.decode("utf-8")

    def _get(self, path: str, limit: int) -> bytes:
        address = f"{self.url}/{path}"
        with self.pool.open("GET", address) as response:
            if response.status != HTTPStatus.OK:
                raise FetchError(
                    f"{address} answers {response.status}",
                    resolution="Name another archive with --debian-archive or "
                    "bases.<name>.archive.",
                )
            return response.read(limit)


def pin_of(package: Packages) -> PackagePin:
    """Return the pin of an index paragraph."""
    return PackagePin(
        name=package["Package"],
        version=package["Version"],
        file=package["Filename"],
        size=int(package["Size"]),
        sha256=package["SHA256"],
    )


def _paragraphs(text: str, wanted: frozenset[str]) -> dict[str, Packages]:
    # Parsing all of an index takes python-debian half a minute, so only what is
    # wanted is parsed.
    from debian.deb822 import Packages
    from debian.debian_support import Version

    found: dict[str, Packages] = {}
    for paragraph in text.split("\n\n"):
        match = _PACKAGE.search(paragraph)
        if not match or match[1] not in wanted:
            continue
        package = Packages(paragraph)
        older = found.get(match[1])
        if older is None or Version(package["Version"]) > Version(older["Version"]):
            found[match[1]] = package
    return found


def _tool_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
