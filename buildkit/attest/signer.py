"""Who signs, seen from what is signed: one Protocol, so that keyless signing can follow keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from buildkit.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature of something that has a sha256.

    Attributes:
        value: DER of ECDSA's two numbers, over that sha256.
        material: what a Sigstore bundle says on how to verify it, its
            ``verificationMaterial``: a key's hint; of a keyless signer its certificate
            and the entry in the transparency log.
    """

    value: bytes
    material: Mapping[str, Any] = field(compare=False)


class Signer(Protocol):
    """Signs by digest, so that large files are hashed once and never held in memory."""

    def sign(self, digest: Digest) -> Signature:
        """Sign what has this digest.

        Raises:
            SigningError: it cannot be done.
        """
        ...


class Verifier(Protocol):
    """Knows whose signatures count."""

    @property
    def material(self) -> Mapping[str, Any]:
        """What a bundle of such a signature says on how to verify it."""
        ...

    def verifies(self, signature: bytes, digest: Digest) -> bool:
        """Tell whether a signature is of what has this digest."""
        ...
