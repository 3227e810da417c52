"""Wheels as a way to fetch prebuilt programs, through the user's own pip.

pip knows the user's indexes, mirrors, proxies and credentials, so no address
appears here. Platform tags are those of PEP 425, 600 and 656; pip takes a
manylinux tag literally and does not widen it to older glibc versions.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import BuildkitError, EnvironmentMissingError, FetchError
from buildkit.platform import Platform
from buildkit.proc import Completed, Runner

_OLDEST_GLIBC, _NEWEST_GLIBC = 17, 45
"""manylinux_2_17 (2014's) to somewhat beyond what exists."""
_FIRST_MACOS, _LAST_MACOS = 11, 30
_LINUX_ARCH = {
    "386": "i686",
    "amd64": "x86_64",
    "arm": "armv7l",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_MACOS_ARCH = {"amd64": "x86_64", "arm64": "arm64"}
_WINDOWS = {"386": "win32", "amd64": "win_amd64", "arm64": "win_arm64"}
_MISMATCH = re.compile(r"Expected sha256 (\w{64}).*?Got\s+(\w{64})", re.DOTALL)
_ABSENT = ("No matching distribution found", "Could not find a version that satisfies")


class WheelPin(Struct, frozen=True, kw_only=True):
    """One wheel: ``tag`` is the platform tag that pip must be given."""

    project: str
    version: str
    tag: str
    file: str
    sha256: str


class Pip(Struct, frozen=True, kw_only=True):
    """The pip of a Python, run in the user's own configuration and environment."""

    python: Path
    runner: Runner
    environ: Mapping[str, str]

    def download(self, pin: WheelPin, into: Path) -> Path:
        """Download exactly the pinned wheel into a directory and return its path.

        Raises:
            FetchError: the index has no such wheel, has another under its name, or
                cannot be reached.
            EnvironmentMissingError: the Python has no pip.
        """
        requirements = into / "requirements.txt"
        requirements.write_text(f"{pin.project}=={pin.version} --hash=sha256:{pin.sha256}\n")
        arguments = ["--require-hashes", "-r", str(requirements), "-d", str(into)]
        done = self._run(["download", *arguments], (pin.tag,), into)
        wheel = into / pin.file
        if done.returncode != 0:
            raise _failure(f"the wheel {pin.file}", done)
        if not wheel.is_file():
            raise FetchError(
                f"pip brought another file than {pin.file}",
                details=", ".join(sorted(path.name for path in into.glob("*.whl"))),
                resolution="Refresh the pin with `invoke lock`.",
            )
        return wheel

    def find(self, project: str, version: str, platform: Platform) -> WheelPin:
        """Ask the index which wheel of a version serves a platform, without downloading it.

        Of several the one for the oldest glibc or macOS is taken: it runs in most places.
        An empty version asks for the newest.

        Raises:
            FetchError: there is none, or the index cannot be reached.
            EnvironmentMissingError: the Python has no pip.
        """
        what = f"a wheel of {f'{project} {version}'.strip()} for {platform}"
        tags = platform_tags(platform)
        if not tags:
            raise FetchError(f"there cannot be {what}: wheels do not know this platform")
        with tempfile.TemporaryDirectory() as name:
            into = Path(name)
            report = into / "report.json"
            arguments = ["--dry-run", "--ignore-installed", "--target", str(into / "none")]
            arguments += ["--report", str(report), f"{project}=={version}" if version else project]
            done = self._run(["install", *arguments], tags, into)
            if done.returncode != 0:
                raise _failure(what, done)
            found = decode_json(report.read_bytes(), _Report).install[0].download_info
        file = found.url.partition("#")[0].rpartition("/")[2]
        offered = file.removesuffix(".whl").rpartition("-")[2].split(".")
        return WheelPin(
            project=project,
            version=file.split("-")[1],
            tag=next((tag for tag in tags if tag in offered), offered[0]),
            file=file,
            sha256=found.archive_info.hashes["sha256"],
        )

    def _run(self, arguments: Sequence[str], tags: Sequence[str], cwd: Path) -> Completed:
        platforms = [f"--platform={tag}" for tag in tags]
        common = ["--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off"]
        return self.runner.run(
            [str(self.python), "-m", "pip", *arguments, *common, *platforms],
            # A user's own `user = true` contradicts --target.
            env={**self.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"},
            cwd=cwd,
        )


class _ArchiveInfo(msgspec.Struct):
    hashes: dict[str, str]


class _DownloadInfo(msgspec.Struct):
    url: str
    archive_info: _ArchiveInfo


class _Installed(msgspec.Struct):
    download_info: _DownloadInfo


class _Report(msgspec.Struct):
    """pip's installation report, https://pip.pypa.io/en/stable/reference/installation-report/."""

    install: list[_Installed]


def platform_tags(platform: Platform) -> tuple[str, ...]:
    """Return every wheel tag that could serve a platform, the most widely usable first."""
    match platform.os:
        case "linux" if arch := _LINUX_ARCH.get(platform.arch):
            versions = range(_OLDEST_GLIBC, _NEWEST_GLIBC + 1)
            return tuple(f"manylinux_2_{minor}_{arch}" for minor in versions)
        case "darwin" if arch := _MACOS_ARCH.get(platform.arch):
            versions = range(_FIRST_MACOS, _LAST_MACOS + 1)
            return tuple(f"macosx_{major}_0_{arch}" for major in versions)
        case "windows" if tag := _WINDOWS.get(platform.arch):
            return (tag,)
        case _:
            return ()


def _failure(what: str, done: Completed) -> BuildkitError:
    text = done.output
    if "No module named pip" in text:
        return EnvironmentMissingError(
            f"this Python has no pip, which {what} would come through",
            details=f"{done.argv[0]}: No module named pip",
            resolution="Run `python -m ensurepip` with it, or make the environment with "
            "pip in it (`uv venv --seed`).",
        )
    if match := _MISMATCH.search(text):
        return FetchError(
            f"{what} is not what the lock pins",
            details=f"sha256 expected {match[1]}, got {match[2]}",
            resolution="Do not use it before you know why; `invoke lock` accepts a new one.",
        )
    if any(sign in text for sign in _ABSENT):
        return FetchError(
            f"the package index has no {what.removeprefix('the ').removeprefix('a ')}",
            details=_last_lines(text),
            resolution="Check the version in targets.toml and the index in `pip config list`.",
        )
    return FetchError(
        f"pip could not fetch {what}",
        details=_last_lines(text),
        resolution="Check the network, the proxy settings and `pip config list`.",
    )


def _last_lines(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-4:])
