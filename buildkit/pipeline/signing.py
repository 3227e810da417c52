"""Who signs a run, found before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.config.load import Project
from buildkit.errors import UsageError
from buildkit.plan.options import Options

if TYPE_CHECKING:
    from buildkit.attest.signer import Signer


class Signing(Struct, frozen=True, kw_only=True):
    """Who signs, and how.

    Attributes:
        signer: signs.
        identity: what the signer is known by: the same one signs the same.
        legacy_tags: images get cosign's own tags too.
    """

    signer: Signer
    identity: str
    legacy_tags: bool = False

    @property
    def name(self) -> str:
        """What changes whenever other bytes would be signed, or otherwise."""
        return f"{self.identity}{' and legacy tags' if self.legacy_tags else ''}"


def read_signing(project: Project, options: Options, environ: Mapping[str, str]) -> Signing | None:
    """Return who signs; None where nobody was asked to.

    Raises:
        UsageError: signing is asked for and no key is named.
        SigningError: the key cannot be used.
    """
    sign = project.config.release.sign
    if not (options.sign or options.key):
        if options.legacy_tags:
            raise UsageError(
                "--legacy-tags without a key: there is nothing to attach",
                resolution="Name the key that signs with --key.",
            )
        return None
    if not options.key and not sign.key:
        raise UsageError(
            "--sign without a key",
            resolution="Name it with --key cosign.key, or as release.sign.key in "
            f"{project.targets.name}.",
        )
    from buildkit.attest.keys import open_signer  # noqa: PLC0415 - loads cryptography

    path = Path(options.key) if options.key else project.root / sign.key
    signer = open_signer(path, environ)
    return Signing(
        signer=signer,
        identity=signer.public_key.hint,
        legacy_tags=bool(options.legacy_tags) or sign.legacy_tags,
    )
