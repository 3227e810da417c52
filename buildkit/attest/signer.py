"""Who signs, seen from what is signed: one Protocol, so that keyless signing can follow keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature of some bytes.

    Attributes:
        value: DER of ECDSA's two numbers, over the sha256 of the bytes.
        material: what a Sigstore bundle says on how to verify it, its
            ``verificationMaterial``: a key's hint; of a keyless signer its certificate
            and the entry in the transparency log.
    """

    value: bytes
    material: Mapping[str, Any] = field(compare=False)


class Signer(Protocol):
    """Signs bytes."""

    def sign(self, data: bytes) -> Signature:
        """Sign bytes.

        Raises:
            SigningError: it cannot be done.
        """
        ...


class Verifier(Protocol):
    """Knows whose signatures count."""

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Tell whether a signature is of these bytes."""
        ...
