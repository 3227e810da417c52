"""`invoke keys.generate`: a key pair that this tool and cosign both sign and verify with."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from buildkit.attest.keys import PASSWORD_VARIABLE, generate_key
from buildkit.errors import UsageError
from buildkit.log import choose_reporter
from buildkit.pipeline.report import print_json
from buildkit.plan.options import Options
from buildkit.store import atomic_write

_DEFAULT = "cosign.key"


def generate_keys(options: Options) -> None:
    """Write a private key, encrypted with COSIGN_PASSWORD or what is typed, and its public key.

    Raises:
        UsageError: one of the files exists, or there is no password.
    """
    private = Path(options.key or _DEFAULT)
    public = private.with_suffix(".pub")
    for path in (private, public):
        if path.exists():
            raise UsageError(
                f"{path} exists, and a key is never overwritten",
                resolution="Name another file with --key, or move this one away.",
            )
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        password = _typed()
    key, verifier = generate_key(password)
    atomic_write(private, key, mode=0o600)
    atomic_write(public, verifier)
    if options.json:
        print_json({"private": str(private), "public": str(public)})
        return
    reporter = choose_reporter(os.environ, quiet=bool(options.quiet))
    reporter.note(f"wrote {private}, which is secret, and {public}, which is not")


def _typed() -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"there is no password for the key: {PASSWORD_VARIABLE} is not set",
            resolution="Set it; to an empty text for a key without one.",
        )
    first = getpass.getpass("Password for the new key: ")
    if getpass.getpass("Again: ") != first:
        raise UsageError("the two passwords differ")
    return first
