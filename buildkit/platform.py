"""Platforms: one cell column of the matrix, named alike by Go, Docker and the file system."""

from __future__ import annotations

import platform as _host
import sys

from msgspec import Struct

from buildkit.errors import ConfigError

_GO_PLATFORMS = """
    aix/ppc64 android/386 android/amd64 android/arm android/arm64 darwin/amd64 darwin/arm64
    dragonfly/amd64 freebsd/386 freebsd/amd64 freebsd/arm freebsd/arm64 freebsd/riscv64
    illumos/amd64 ios/amd64 ios/arm64 js/wasm linux/386 linux/amd64 linux/arm linux/arm64
    linux/loong64 linux/mips linux/mips64 linux/mips64le linux/mipsle linux/ppc64 linux/ppc64le
    linux/riscv64 linux/s390x netbsd/386 netbsd/amd64 netbsd/arm netbsd/arm64 openbsd/386
    openbsd/amd64 openbsd/arm openbsd/arm64 openbsd/ppc64 openbsd/riscv64 plan9/386 plan9/amd64
    plan9/arm solaris/amd64 wasip1/wasm windows/386 windows/amd64 windows/arm windows/arm64
"""

GO_PLATFORMS: frozenset[str] = frozenset(_GO_PLATFORMS.split())
"""Every GOOS/GOARCH pair of ``go tool dist list`` (Go 1.17 to 1.26)."""

_MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "ppc64le": "ppc64le",
    "loongarch64": "loong64",
}


class Platform(Struct, frozen=True, order=True):
    """An operating system and architecture in Go's and OCI's spelling.

    ``variant`` is OCI's (``v7`` of ``linux/arm/v7``) and is empty for most.
    """

    os: str
    arch: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/arch`` or ``os/arch/variant``.

        Raises:
            ConfigError: the text has another form or Go knows no such pair.
        """
        parts = text.strip().split("/")
        if len(parts) not in {2, 3} or "/".join(parts[:2]) not in GO_PLATFORMS:
            raise ConfigError(
                f"unknown platform '{text}'",
                resolution="Write it as os/arch, for example linux/arm64; "
                "`go tool dist list` prints all of them.",
            )
        return cls(*parts)

    @classmethod
    def host(cls) -> Platform:
        """Return the platform this process runs on.

        Raises:
            ConfigError: the machine type has no Go name.
        """
        machine = _host.machine().lower()
        system = "windows" if sys.platform == "win32" else sys.platform
        return cls.parse(f"{system}/{_MACHINES.get(machine, machine)}")

    def __str__(self) -> str:
        """Return ``os/arch[/variant]``."""
        return "/".join(part for part in (self.os, self.arch, self.variant) if part)

    @property
    def slug(self) -> str:
        """The folder name below ``out/``: ``linux_arm64``."""
        return "_".join(part for part in (self.os, self.arch, self.variant) if part)

    @property
    def executable_suffix(self) -> str:
        """``.exe`` on Windows, else nothing."""
        return ".exe" if self.os == "windows" else ""

    def go_env(self) -> dict[str, str]:
        """Return GOOS, GOARCH and, for 32-bit ARM, GOARM."""
        env = {"GOOS": self.os, "GOARCH": self.arch}
        if self.arch == "arm" and self.variant:
            env["GOARM"] = self.variant.removeprefix("v")
        return env
