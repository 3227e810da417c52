"""What every table of ``targets.toml`` is made of: the table itself and the kinds of its texts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The name of a binary, image, base or fetched file."""

ByteCount = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)? ?([kKMGT]i?)?B)?$")]
"""A number of bytes with its unit."""

PackageName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.+-]+$")]
"""The name of a .deb and .rpm package; Debian's rules are the stricter ones."""

PlatformName = Annotated[str, Meta(pattern=r"^[a-z0-9]+/[a-z0-9]+(/v[0-9]+)?$")]
"""A platform as ``os/arch``."""

ArgumentName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an ARG of a Dockerfile."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table; a key it does not know is an error."""
