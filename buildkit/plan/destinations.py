"""Where images go: hubs, the tags they get at each, and whether they are pushed there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from buildkit.config.interpolate import interpolate
from buildkit.config.load import Project
from buildkit.errors import UsageError
from buildkit.plan.options import Options, split_list
from buildkit.reference import Reference, check_tag, hub_reference, is_loopback, split_hub


class Value(Struct, frozen=True, kw_only=True):
    """A setting and where it came from, for `invoke plan`."""

    text: str
    origin: str


class Destination(Struct, frozen=True, kw_only=True):
    """One hub, and what happens to images there."""

    hub: Value
    tags: tuple[Value, ...]
    push: bool
    push_origin: str

    @property
    def is_loopback(self) -> bool:
        """Whether it is a registry of this machine."""
        return is_loopback(split_hub(self.hub.text)[0])

    def references(self, image: str, change: Callable[[str], str] = str) -> tuple[Reference, ...]:
        """Return the names of an image there, one for each tag.

        Args:
            image: its name.
            change: gives a tag as a variant of the image has it.
        """
        return tuple(hub_reference(self.hub.text, image, change(tag.text)) for tag in self.tags)


def destinations(
    project: Project,
    options: Options,
    environ: Mapping[str, str],
    *,
    version: Value,
    local_hub: str,
) -> tuple[Destination, ...]:
    """Decide the hubs of a run and, for each by itself, its tags and whether it is pushed to.

    Raises:
        ConfigError: a hub or tag cannot be.
    """
    given = _given_tags(project, options, environ, version)
    found = []
    for hub in _hubs(project, options, environ, local_hub):
        loopback = is_loopback(split_hub(hub.text)[0])
        tags = given or (_default_tag(version, loopback=loopback),)
        push, origin = _push(project, options, loopback=loopback)
        found.append(Destination(hub=hub, tags=_checked(tags), push=push, push_origin=origin))
    return tuple(found)


def _push(project: Project, options: Options, *, loopback: bool) -> tuple[bool, str]:
    if options.push is not None:
        return options.push, "--push" if options.push else "--no-push"
    configured = project.config.registry.push
    if configured is not None:
        return configured, project.origins.phrase("registry.push")
    return loopback, f"the default of a {'loopback' if loopback else 'remote'} hub"


def protected_hubs(
    hubs: Iterable[str], protected: Iterable[str], environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return the hubs that only CI pushes to, each with the rule that says so; none in CI."""
    if truthy(environ.get("CI")):
        return ()
    rules = tuple(protected)
    return tuple((hub, rule) for hub in hubs for rule in rules if _is_below(hub, rule))


def _is_below(hub: str, rule: str) -> bool:
    (registry, prefix), (rule_registry, start) = split_hub(hub), split_hub(rule)
    return registry == rule_registry and (not start or f"{prefix}/".startswith(f"{start}/"))


def check_protected(
    hubs: Iterable[str], protected: Iterable[str], environ: Mapping[str, str]
) -> None:
    """Refuse to push to protected hubs, and to all below them, outside CI.

    Raises:
        UsageError: one is among the hubs, and CI is not set in the environment.
    """
    for hub, rule in protected_hubs(hubs, protected, environ):
        raise UsageError(
            f"{hub} is protected: only CI pushes there",
            details=f"registry.protected names {rule}.",
            resolution="Push to a hub of your own with --hub. A CI system sets CI.",
        )


def truthy(variable: str | None) -> bool:
    """Tell whether a variable of the environment is set to more than 0, false or no."""
    return (variable or "").lower() not in {"", "0", "false", "no"}


def names_hub(options: Options, environ: Mapping[str, str]) -> bool:
    """Tell whether the user chose the hub for this call, so that no other will do."""
    return options.hub is not None or bool(environ.get("HUBS") or environ.get("HUB"))


def _hubs(
    project: Project, options: Options, environ: Mapping[str, str], local_hub: str
) -> tuple[Value, ...]:
    chosen = _listed("hub", options.hub, environ)
    configured = project.config.registry.hub
    if not chosen and local_hub and is_loopback(split_hub(configured)[0]):
        chosen = (Value(text=local_hub, origin="the local registry's port"),)
    if not chosen:
        chosen = (Value(text=configured, origin=project.origins.phrase("registry.hub")),)
    hubs: dict[str, Value] = {}
    for value in chosen:
        split_hub(value.text)
        text = value.text.rstrip("/")
        hubs.setdefault(text, Value(text=text, origin=value.origin))
    return tuple(hubs.values())


def _given_tags(
    project: Project, options: Options, environ: Mapping[str, str], version: Value
) -> tuple[Value, ...]:
    chosen = _listed("tag", options.tag, environ)
    if chosen:
        return chosen
    values = {"version": _tag_of(version.text), "project": project.config.project.name}
    return tuple(
        Value(text=interpolate(tag, values), origin=project.origins.phrase("registry.tags"))
        for tag in project.config.registry.tags
    )


def _listed(name: str, flag: str | None, environ: Mapping[str, str]) -> tuple[Value, ...]:
    """Read a flag, or else Istio's variables: HUBS or TAGS split at spaces, then HUB or TAG."""
    if flag is not None:
        return tuple(Value(text=text, origin=f"--{name}") for text in split_list(flag) or ("",))
    several, one = f"{name.upper()}S", name.upper()
    if environ.get(several, "").split():
        words = environ[several].split()
        return tuple(Value(text=text, origin=f"{several} in the environment") for text in words)
    if environ.get(one):
        return (Value(text=environ[one], origin=f"{one} in the environment"),)
    return ()


def _default_tag(version: Value, *, loopback: bool) -> Value:
    if loopback:
        return Value(text="latest", origin="the default of a loopback hub")
    return Value(text=_tag_of(version.text), origin=f"the version, {version.origin}")


def _checked(tags: tuple[Value, ...]) -> tuple[Value, ...]:
    once = {check_tag(value.text): value for value in reversed(tags)}
    return tuple(reversed(once.values()))


def _tag_of(version: str) -> str:
    # Build metadata of semver is joined by '+', which a tag cannot hold.
    return version.replace("+", "-")
