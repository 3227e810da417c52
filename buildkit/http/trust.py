"""Which certificate authorities are trusted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from buildkit.errors import EnvironmentMissingError

_CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return the certificates to trust: the environment's, the system's, or certifi's.

    Raises:
        EnvironmentMissingError: a variable names a bundle that cannot be read.
    """
    for name in _CA_FILES:
        if location := environ.get(name):
            return _trust_location(name, Path(location))
    context = ssl.create_default_context()
    # Those of a directory are loaded when needed, so the context does not count them.
    directory = Path(ssl.get_default_verify_paths().openssl_capath)
    in_directory = directory.is_dir() and any(directory.iterdir())
    if not context.cert_store_stats()["x509_ca"] and not in_directory:
        # python.org's macOS builds ship without certificates.
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _trust_location(name: str, location: Path) -> ssl.SSLContext:
    try:
        if location.is_dir():
            return ssl.create_default_context(capath=location)
        return ssl.create_default_context(cafile=location)
    except OSError as error:
        raise EnvironmentMissingError(
            f"{name} names no readable certificate bundle",
            details=f"{location}: {error.strerror or error}",
            resolution=f"Let {name} name a PEM file, or unset it.",
        ) from error
