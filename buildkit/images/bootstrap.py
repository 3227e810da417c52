"""A whole Debian system with apt and dpkg, installed by mmdebstrap.

Its packages are what the archive has on that day, verified by apt against the archive's
signature; the maintainer scripts run, for another architecture under emulation.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from buildkit.errors import BuildError, EnvironmentMissingError
from buildkit.images.static import certificate_entries
from buildkit.oci.layer import Entry
from buildkit.oci.untar import unpack
from buildkit.proc import Runner

MISSING = "mmdebstrap is not installed here"
_PASSED = ("PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
_EPOCH = "1577836800"
"""2020-01-01. Zero would be written to /etc/shadow, where it means an expired password."""
_LAST_LINES = 12


def find_mmdebstrap(environ: Mapping[str, str]) -> str:
    """Return the path of mmdebstrap; empty where PATH has none."""
    return shutil.which("mmdebstrap", path=environ.get("PATH", "")) or ""


def bootstrap_entries(
    folder: Path,
    *,
    suite: str,
    packages: tuple[str, ...],
    architecture: str,
    archive: str,
    runner: Runner,
    environ: Mapping[str, str],
) -> tuple[Entry, ...]:
    """Install a system and return its files.

    Args:
        folder: an empty directory; the entries' contents lie there.
        suite: the codename, such as ``bookworm``.
        packages: beside the essential ones and apt; what they depend on comes along.
        architecture: in Debian's spelling.
        archive: its URL; empty takes mmdebstrap's own choice for the suite.
        runner: starts mmdebstrap.
        environ: the user's, for PATH and proxies.

    Raises:
        EnvironmentMissingError: there is no mmdebstrap.
        BuildError: it failed; details hold its last words.
    """
    tar = folder / "system.tar"
    argv = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--architectures={architecture}"]
    # A layer has no devices: whoever runs a container mounts its own.
    argv += ["--skip=output/dev", "--aptopt=APT::Install-Recommends false"]
    # The plan has looked for emulation; mmdebstrap asks a program that few machines have.
    argv += ["--skip=check/qemu"]
    argv += [f"--include={','.join(packages)}"] if packages else []
    argv += [suite, str(tar), *([archive] if archive else [])]
    passed = {name: environ[name] for name in _PASSED if name in environ}
    try:
        done = runner.run(
            argv, env={**passed, "LC_ALL": "C", "SOURCE_DATE_EPOCH": _EPOCH}, cwd=folder
        )
    except EnvironmentMissingError as error:
        raise EnvironmentMissingError(
            MISSING,
            details=error.details,
            resolution="Install mmdebstrap, or give the image a base of a registry.",
        ) from error
    if done.returncode != 0:
        raise BuildError(
            f"mmdebstrap cannot install {suite} for {architecture}",
            details="\n".join(done.output.splitlines()[-_LAST_LINES:]),
            resolution="Its last lines say why: an archive that cannot be reached, an unknown "
            "package, a missing keyring or emulation, or no right to user namespaces.",
        )
    contents = folder / "contents"
    contents.mkdir()
    with tar.open("rb") as stream:
        found = unpack(stream, contents, name=f"the system of {suite}")
    taken = {entry.path for entry in found}
    # Clients of TLS are told that certificates are here, see local.base_config.
    return (*found, *(entry for entry in certificate_entries() if entry.path not in taken))
