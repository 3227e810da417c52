"""Content digests as OCI writes them, and the canonical JSON they are taken of."""

from __future__ import annotations

import hashlib
import re
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
_BLOCK = 1 << 18


class Digest(Struct, frozen=True, order=True):
    """A sha256 content digest; ``hex`` is the lower-case hexadecimal form."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:<64 hex digits>``.

        Raises:
            ValueError: the text is not of that form.
        """
        if not _PATTERN.fullmatch(text):
            message = f"not a sha256 digest: {text!r}"
            raise ValueError(message)
        return cls(text.removeprefix("sha256:"))

    @classmethod
    def of_bytes(cls, data: bytes) -> Digest:
        """Hash bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_stream(cls, stream: BufferedIOBase) -> Digest:
        """Hash what is left of an open file, in blocks."""
        # Not hashlib.file_digest: of a BytesIO it takes the whole buffer, wherever it stands.
        state = hashlib.sha256()
        buffer = memoryview(bytearray(_BLOCK))
        while size := stream.readinto(buffer):
            state.update(buffer[:size])
        return cls(state.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        """Hash a file's content.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as stream:
            return cls.of_stream(stream)

    @classmethod
    def of_json(cls, value: Any) -> Digest:
        """Hash a value by its canonical JSON."""
        return cls.of_bytes(canonical_json(value))

    def __str__(self) -> str:
        """Return ``sha256:<hex>``."""
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve hex digits, as Docker abbreviates."""
        return self.hex[:12]


def canonical_json(value: Any) -> bytes:
    """Encode to JSON without spaces, keys sorted: equal values give equal bytes."""
    return msgspec.json.encode(value, order="sorted")
