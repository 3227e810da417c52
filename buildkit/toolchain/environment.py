"""What a Go process gets of the user's environment: an allow-list and nothing else.

Settings that change what is compiled (GOFLAGS, GOEXPERIMENT, CGO_*, GOAMD64, GOWORK)
count only if targets.toml names them. Those that say how modules are reached and
trusted are the user's own, including what ``go env -w`` keeps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from buildkit.decoding import decode_json
from buildkit.errors import EnvironmentMissingError
from buildkit.proc import Runner
from buildkit.toolchain.find import Toolchain

USER_SETTINGS = (
    "GOPROXY",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOINSECURE",
    "GOAUTH",
    "GOVCS",
    "GOCACHE",
    "GOMODCACHE",
    "GOPATH",
)
"""Where modules come from, who may vouch for them, and where they are kept."""

BUILD_SETTINGS = ("GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64", "GOWORK")
"""What changes the output and counts only where targets.toml names it; CGO_* too."""

FIXED = {"GOTOOLCHAIN": "local", "GOENV": "off"}
"""What every Go process gets: no other toolchain, no settings beside those that are passed on."""

_PASSED = frozenset({"HOME", "USER", "LOGNAME", "TMPDIR", "GOTMPDIR", "XDG_CONFIG_HOME"})
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
_TRUST = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})
_CREDENTIALS = frozenset(
    {
        "NETRC",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
        "GIT_TERMINAL_PROMPT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_COUNT",
    }
)
"""How git reaches private modules. GIT_DIR and its like, set inside a git hook, stay out."""
_CREDENTIAL_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_ALLOWED = _PASSED | _PROXIES | {name.lower() for name in _PROXIES} | _TRUST | _CREDENTIALS


def ignored_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the user's settings that have no say in a build, for the plan."""
    return tuple(
        name
        for name, value in sorted(environ.items())
        if value and (name in BUILD_SETTINGS or name.startswith("CGO_"))
    )


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what any child gets of the user's environment: home, network, credentials."""
    return {
        name: value
        for name, value in environ.items()
        if name in _ALLOWED or name.startswith(_CREDENTIAL_PREFIXES)
    }


def read_settings(
    toolchain: Toolchain, environ: Mapping[str, str], runner: Runner
) -> dict[str, str]:
    """Ask Go once for the user's settings; those that are empty are left out.

    Raises:
        EnvironmentMissingError: ``go env`` fails, as with a broken settings file.
    """
    # GOROOT is no module, so no go.mod or go.work has a say in the answer.
    done = runner.run(
        [str(toolchain.go), "env", "-json", *USER_SETTINGS],
        env={**environ, "GOTOOLCHAIN": "local"},
        cwd=toolchain.goroot,
    )
    if done.returncode != 0:
        raise EnvironmentMissingError(
            "go env fails, so the user's Go settings are unknown",
            details=done.output,
            resolution="Repair the file that `go env GOENV` names, or the GO* variables.",
        )
    said = decode_json(done.stdout, dict[str, str])
    return {name: said[name] for name in USER_SETTINGS if said.get(name)}


def child_environment(
    toolchain: Toolchain,
    settings: Mapping[str, str],
    environ: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of a Go process.

    PATH is the toolchain's ``bin`` before the user's own: git and a C compiler
    are looked up there, and neither has a say unless it is asked for.

    Args:
        toolchain: what runs.
        settings: from :func:`read_settings`.
        environ: the user's environment.
        extra: platform variables and what targets.toml names; they win.
    """
    passed = passed_on(environ)
    path = os.pathsep.join(filter(None, (str(toolchain.go.parent), environ.get("PATH", ""))))
    return {**passed, **settings, "PATH": path, **FIXED, **extra}
