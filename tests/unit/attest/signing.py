"""A key for tests; making one anew costs a scrypt each time."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from buildkit.attest.keys import KeySigner

SIGNER = KeySigner(ec.generate_private_key(ec.SECP256R1()))
FOREIGN = KeySigner(ec.generate_private_key(ec.SECP256R1()))
