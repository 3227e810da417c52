"""The static base: what a statically linked program expects of a system, and no more.

Users, certificate authorities (certifi), time zones (tzdata), name service
order, and a /tmp. Nothing in it depends on an architecture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from buildkit.oci.layer import Entry, directory, file, symlink

CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
ZONES = "usr/share/zoneinfo"

ROOT = 0
ISTIO_PROXY = 1337
"""The user whose traffic Istio's redirect rules leave alone."""
NONROOT = 65532
"""The unprivileged user of the distroless images."""
NOBODY = 65534

_PASSWD = f"""\
root:x:{ROOT}:{ROOT}:root:/root:/sbin/nologin
nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/sbin/nologin
nonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/sbin/nologin
istio-proxy:x:{ISTIO_PROXY}:{ISTIO_PROXY}:istio-proxy:/nonexistent:/sbin/nologin
"""
_GROUP = f"""\
root:x:{ROOT}:
nobody:x:{NOBODY}:
tty:x:5:
staff:x:50:
nonroot:x:{NONROOT}:
istio-proxy:x:{ISTIO_PROXY}:
"""
_NSSWITCH = """\
# Files before DNS, as Go and glibc are both told.
hosts: files dns
"""


def user_entries() -> Iterator[Entry]:
    """Yield users, groups, home and temporary directories, and the name service order."""
    yield file("etc/passwd", _PASSWD.encode())
    yield file("etc/group", _GROUP.encode())
    yield file("etc/nsswitch.conf", _NSSWITCH.encode())
    yield directory("root", 0o700)
    yield directory("home/nonroot", 0o700, uid=NONROOT, gid=NONROOT)
    yield directory("tmp", 0o1777)
    yield directory("var/tmp", 0o1777)
    yield directory("run")
    yield symlink("var/run", "/run")
    yield directory("usr/local/bin")


def certificate_entries() -> Iterator[Entry]:
    """Yield certifi's certificate authorities where OpenSSL, Go and Envoy look for them."""
    import certifi

    yield file(CERTIFICATES, Path(certifi.where()))
    yield symlink("etc/ssl/cert.pem", f"/{CERTIFICATES}")


def zone_entries() -> Iterator[Entry]:
    """Yield the time zones of the tzdata package."""
    from importlib.resources import files

    root = Path(str(files("tzdata"))) / "zoneinfo"
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            yield file(f"{ZONES}/{path.relative_to(root).as_posix()}", path)


def static_entries(project: str) -> tuple[Entry, ...]:
    """Return the static base's files; its os-release names the project."""
    name = project.replace('"', "").replace("\n", " ")
    release = f'NAME="{name}"\nPRETTY_NAME="{name} (static base)"\nID=static\nVARIANT_ID="{name}"\n'
    return (
        *user_entries(),
        *certificate_entries(),
        *zone_entries(),
        file("usr/lib/os-release", release.encode()),
        symlink("etc/os-release", "../usr/lib/os-release"),
    )


def certificate_version() -> str:
    """Return which certificates there are, for the key of an assembled base."""
    from importlib.metadata import version

    return f"certifi {version('certifi')}"


def zone_version() -> str:
    """Return which time zones there are, for the key of an assembled base."""
    from importlib.metadata import version

    return f"tzdata {version('tzdata')}"
