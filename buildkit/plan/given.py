"""What a call or the environment decides beside what a plan has a line of its own for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from buildkit.plan.destinations import Value, truthy
from buildkit.plan.options import Options

_FLAGS = (
    *("source", "targets", "out", "only", "envoy", "debian_archive", "jobs", "load"),
    *("save", "layout", "no_clobber", "stamp", "symbols", "force", "offline", "fail_fast"),
)


def given_settings(options: Options, environ: Mapping[str, str]) -> tuple[tuple[str, Value], ...]:
    """Return each such setting by its name, with where it comes from.

    Args:
        options: the flags.
        environ: the environment; of Istio's names a plan has notes.
    """
    return tuple(_given(options, environ))


def _given(options: Options, environ: Mapping[str, str]) -> Iterator[tuple[str, Value]]:
    for text in options.set or ():
        key, _, value = text.partition("=")
        yield key.strip(), Value(text=value.strip(), origin="--set")
    for name in _FLAGS:
        value = getattr(options, name)
        flag = f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                yield name.replace("_", "-"), Value(text=_shown(item), origin=flag)
    if options.stamp is None and truthy(environ.get("CI")):
        yield "stamp", Value(text=_shown(True), origin="CI in the environment")


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
