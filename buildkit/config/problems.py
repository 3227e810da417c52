"""Problems found in a configuration file, gathered so that one run shows them all."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from buildkit.errors import ConfigError

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'/-]+)\s*=")


class Page(Struct, frozen=True, kw_only=True):
    """Where values were written: a file, or what else gives them, which has no text."""

    file: str
    text: str = ""

    def place(self, path: str) -> str:
        """Return file and line of a TOML path, as far as they can be told."""
        line = line_of(self.text, path)
        return f"{self.file}:{line}" if line else self.file


class Origins(Struct, frozen=True, kw_only=True):
    """Which page wrote each value of a configuration that was laid together from several.

    Attributes:
        main: the targets file, for what no other page wrote.
        written: the page by the keys of a table or value; empty where there is one page.
    """

    main: Page = field(default_factory=lambda: Page(file="targets.toml"))
    written: Mapping[tuple[str, ...], Page] = field(default_factory=dict)

    def page(self, path: str) -> Page:
        """Return the page that wrote a TOML path, or its nearest parent."""
        keys = tuple(re.sub(r"(\[\d+\])+$", "", part) for part in split_path(path))
        for length in range(len(keys), 0, -1):
            found = self.written.get(keys[:length])
            if found is not None:
                return found
        return self.main

    def keys_of(self, file: str) -> tuple[str, ...]:
        """Return the paths of the values that a page wrote, by its name; tables are left out."""
        tables = {keys[:length] for keys in self.written for length in range(1, len(keys))}
        return tuple(
            join_path(keys)
            for keys, page in self.written.items()
            if page.file == file and keys not in tables
        )

    def phrase(self, path: str) -> str:
        """Say where a value comes from, as ``registry.hub in targets.toml``."""
        page = self.page(path)
        return f"{path} in {page.file}" if page.text or page is self.main else page.file


class Problems(Struct):
    """Collects what is wrong with one configuration, by TOML path."""

    file: str
    text: str
    found: list[str] = field(default_factory=list)
    origins: Origins | None = None
    """Where its values were written, if not all in ``text``."""
    pages: dict[str, Page] = field(default_factory=dict)
    """Those with something wrong, by name."""

    def add(self, path: str, what: str, fix: str = "") -> None:
        """Note one problem at a TOML path such as ``images.proxyv2.hub``."""
        page = self.origins.page(path) if self.origins else Page(file=self.file, text=self.text)
        self.pages[page.file] = page
        self.found.append(f"{page.place(path)}: {path}: {what}" + (f"; {fix}" if fix else ""))

    def raise_if_any(self) -> None:
        """End the check.

        Raises:
            ConfigError: something was added.
        """
        if not self.found:
            return
        count = len(self.found)
        # A flag or a variable has no text, and no file to mend.
        others = [n for n, page in self.pages.items() if not page.text and n != self.file]
        is_file = len(others) < len(self.pages)
        where = self.file if is_file else " and ".join(others)
        what = [*(["the file"] if is_file else []), *(f"what {name} gives" for name in others)]
        raise ConfigError(
            f"{where} has {'an error' if count == 1 else f'{count} errors'}",
            details="\n".join(self.found),
            resolution=f"Mend {' and '.join(what)}; `invoke check` tells when it is right, "
            "nothing was started.",
        )


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?``, or the known names, for a name that is not among them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "none is defined"


def line_of(text: str, path: str) -> int | None:
    """Find the line that defines a TOML path, or its nearest parent; None where a scan cannot.

    Inline tables and multi-line values are not followed, so the answer may be
    the line of the table around the key.
    """
    wanted = split_path(path)
    best: tuple[int, int] | None = None
    table: list[str] = []
    elements: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = here = _table(split_path(header.group(2)), header.group(1) == "[[", elements)
        elif key:
            here = table + split_path(key.group(1))
        else:
            continue
        if _leads_to(here, wanted) and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def _table(names: list[str], is_element: bool, elements: Counter[str]) -> list[str]:
    """Return a table's path with the number of each array element on it, counting it."""
    here: list[str] = []
    for name in names:
        here.append(name)
        plain = ".".join(here)
        if is_element and len(here) == len(names):
            elements[plain] += 1
        if elements[plain]:
            here[-1] = f"{name}[{elements[plain] - 1}]"
    return here


def _leads_to(here: list[str], wanted: list[str]) -> bool:
    """Tell whether a path is, or is above, another; an array stands for its elements."""
    return len(here) <= len(wanted) and all(
        part in {want, re.sub(r"\[\d+\]$", "", want)}
        for part, want in zip(here, wanted, strict=False)
    )


def join_path(keys: Iterable[str]) -> str:
    """Return keys as a dotted TOML path, with quotes where one needs them."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in keys)


def split_path(dotted: str) -> list[str]:
    """Return the keys of a dotted TOML path, without quotes."""
    parts = re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", dotted)
    return [part.strip("\"'") for part in parts]
