"""`invoke registry.login` and `registry.logout`, for people without Docker or Podman."""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import Callable
from typing import BinaryIO

from buildkit.errors import UsageError
from buildkit.http import HttpPool
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options
from buildkit.registry.credentials import Credential
from buildkit.registry.keeping import CredentialKeeper
from buildkit.registry.login import check_login, registry_host


def log_in(options: Options, host: str) -> None:
    """Try a user name and password at a registry, and keep them where Docker does.

    Raises:
        UsageError: the host, the user name or the password is missing or malformed.
        AuthError: the registry refuses them, or a credential helper fails.
    """
    shop = Workshop.open(options)
    registry = registry_host(host)
    username = _username(options)
    stdin = sys.stdin.buffer
    secret = read_password(stdin, from_stdin=bool(options.password_stdin), ask=getpass.getpass)
    credential = Credential(username=username, secret=secret)
    pool = HttpPool(environ=shop.environ)
    insecure = frozenset(shop.project.config.registry.insecure)
    checked = check_login(pool, registry, credential, insecure)
    place = _keeper(shop).save(registry, credential)
    if options.json:
        print_json({"registry": registry, "username": username, "place": place, "checked": checked})
        return
    if not checked:
        shop.reporter.warn(f"{registry} asks for no login, so the password was not tried")
    shop.reporter.note(f"logged in to {registry} as {username}; kept by {place}")


def log_out(options: Options, host: str) -> None:
    """Forget the login of a registry.

    Raises:
        UsageError: the host is malformed.
        AuthError: a credential helper fails.
    """
    shop = Workshop.open(options)
    registry = registry_host(host)
    places = _keeper(shop).remove(registry)
    if options.json:
        print_json({"registry": registry, "places": list(places)})
        return
    for place in places:
        shop.reporter.note(f"removed the login of {registry} from {place}")
    if not places:
        shop.reporter.note(f"there was no login of {registry}")


def read_password(stdin: BinaryIO, *, from_stdin: bool, ask: Callable[[str], str]) -> str:
    """Return the password: all of standard input but its last line end, or what is typed.

    Args:
        stdin: standard input.
        from_stdin: read it from there.
        ask: shows a prompt on a terminal and reads a line without showing it.

    Raises:
        UsageError: there is none, or no terminal that can hide it.
    """
    if not from_stdin and not stdin.isatty():
        raise UsageError(
            "there is no password", resolution="Send it to standard input: --password-stdin."
        )
    try:
        text = stdin.read().decode().rstrip("\r\n") if from_stdin else _typed(ask)
    except UnicodeDecodeError as error:
        raise UsageError("the password is not UTF-8") from error
    if not text:
        raise UsageError("the password is empty")
    return text


def _typed(ask: Callable[[str], str]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return ask("Password: ")
        except getpass.GetPassWarning as error:
            raise UsageError(
                "this terminal would show the password",
                resolution="Send it to standard input: --password-stdin.",
            ) from error
        except EOFError:
            return ""


def _username(options: Options) -> str:
    username = options.username or ""
    if not username or ":" in username:
        raise UsageError(
            "a user name has no ':'" if username else "there is no user name",
            resolution="Give it with --username.",
        )
    return username


def _keeper(shop: Workshop) -> CredentialKeeper:
    return CredentialKeeper(environ=shop.environ, runner=shop.processes)
