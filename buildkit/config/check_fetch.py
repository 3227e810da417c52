"""What must hold in the table ``[fetch]``."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from buildkit.config.check_names import check_platforms, check_variables
from buildkit.config.interpolate import ENVIRONMENT, FETCH, has_lone_dollar, names_in
from buildkit.config.model import Config, Fetch, Source
from buildkit.config.problems import Problems, near_miss
from buildkit.platform import GO_PLATFORMS

SECRET = frozenset({"authorization", "cookie", "private-token", "job-token", "x-jfrog-art-api"})
"""Headers that hold nothing but a secret, in lower case."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, 5.6.2."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL = re.compile(r"(https?|file)://")
_BASE = "base_url"


def check_fetches(config: Config, problems: Problems) -> None:
    """Add every problem of the fetched files."""
    for name, fetch in config.fetch.items():
        if not fetch.source:
            problems.add(f"fetch.{name}.source", "no source")
        _base_url(fetch, f"fetch.{name}.{_BASE}", problems)
        for number, source in enumerate(fetch.source):
            path = f"fetch.{name}.source[{number}]"
            check_platforms(source.platforms, GO_PLATFORMS, f"{path}.platforms", problems)
            if bool(source.url) == bool(source.wheel):
                problems.add(path, "give either url or wheel")
            check_variables(source.member, FETCH, f"{path}.member", problems)
            if source.wheel:
                _wheel(source, path, problems)
            else:
                _url(source, fetch, path, problems)


def _base_url(fetch: Fetch, path: str, problems: Problems) -> None:
    if not fetch.base_url:
        return
    if "@" in urlsplit(fetch.base_url).netloc:
        problems.add(path, "it holds a user or password", "send them by headers, as ${env.NAME}")
    elif not _URL.match(fetch.base_url):
        problems.add(
            path,
            f"'{fetch.base_url}' is no https or file URL",
            "a bucket has an https address too, and takes its credentials by headers",
        )


def _wheel(source: Source, path: str, problems: Problems) -> None:
    if not source.member:
        problems.add(path, "a wheel needs the member to extract")
    for key in ("checksum", "headers"):
        if getattr(source, key):
            problems.add(f"{path}.{key}", "a wheel takes none: pip knows its index")


def _url(source: Source, fetch: Fetch, path: str, problems: Problems) -> None:
    if source.url and not _URL.match(source.url) and not source.url.startswith(f"${{{_BASE}}}"):
        problems.add(f"{path}.url", f"'{source.url}' is no https or file URL")
    for key, text in (("url", source.url), ("checksum", source.checksum)):
        check_variables(text, FETCH, f"{path}.{key}", problems)
        if _BASE in names_in(text) and not fetch.base_url:
            problems.add(f"{path}.{key}", f"there is no {_BASE} for its ${{{_BASE}}}")
    _arch_suffix(source, path, problems)
    for header, text in source.headers.items():
        _header(header, text, f"{path}.headers.{header}", problems)


def _arch_suffix(source: Source, path: str, problems: Problems) -> None:
    served = {platform.split("/")[1] for platform in source.platforms if "/" in platform}
    for arch in source.arch_suffix:
        if arch not in served:
            problems.add(
                f"{path}.arch_suffix", f"no platform of it is '{arch}'", near_miss(arch, served)
            )
    texts = (source.url, source.checksum, source.member)
    if source.arch_suffix and not any("arch_suffix" in names_in(text) for text in texts):
        problems.add(f"{path}.arch_suffix", "nothing uses it", "write ${arch_suffix} in url")


def _header(header: str, text: str, path: str, problems: Problems) -> None:
    if not _HEADER.fullmatch(header) or not text.isprintable():
        problems.add(path, "no name and value of a header")
    names = names_in(text)
    for name in sorted(names):
        variable = name.removeprefix(ENVIRONMENT)
        if not name.startswith(ENVIRONMENT) or not _VARIABLE.fullmatch(variable):
            problems.add(path, f"unknown variable '${{{name}}}'", f"write ${{{ENVIRONMENT}NAME}}")
    if has_lone_dollar(text):
        problems.add(path, "a lone '$'", f"write ${{{ENVIRONMENT}NAME}}, or $$ for a dollar")
    if header.lower() in SECRET and not names:
        problems.add(path, "a secret has no place here", f"write ${{{ENVIRONMENT}NAME}}")
