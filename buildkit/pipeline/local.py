"""The local registry of a run: started where the hub needs one, stopped on request."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildkit.errors import ConfigError
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.destinations import names_hub
from buildkit.plan.options import Options
from buildkit.platform import Platform
from buildkit.registry.container import Containers, nearness
from buildkit.registry.provision import build_registry, kept_registry
from buildkit.registry.serve import LocalRegistry, Serving

if TYPE_CHECKING:
    from buildkit.config.lock import ToolPin

TOOL = "registry"
"""The name of the registry's pin in the lock."""


def ensure_registry(shop: Workshop, makers: Makers) -> None:
    """Start a registry at each loopback hub that images go to and where none answers.

    If something else holds the default port, the run's hub moves to another.

    Raises:
        RegistryError, EnvironmentMissingError: none could be started.
    """
    hubs = [item.hub.text for item in shop.settings.pushed if item.is_loopback]
    for hub in hubs:
        _follow(shop, hub, local_registry(shop, makers).start(hub, named=_is_named(shop)))


def find_registry(shop: Workshop, makers: Makers) -> None:
    """Take the port that a local registry had to move to, and start nothing."""
    if _is_named(shop):
        return
    for hub in _hubs(shop, loopback=True):
        _follow(shop, hub, local_registry(shop, makers).status(hub, named=False))


def _follow(shop: Workshop, hub: str, serving: Serving) -> None:
    if serving.hub != hub:
        shop.local_hub = serving.hub


def start_registry(options: Options) -> None:
    """Start the local registry at each hub where none answers."""
    shop = Workshop.open(options)
    registry = local_registry(shop, Makers(shop))
    hubs = _hubs(shop, loopback=True) or _hubs(shop)
    started = [registry.start(hub, named=_is_named(shop)) for hub in hubs]
    _show(shop, [(serving, ()) for serving in started])


def stop_registry(options: Options) -> None:
    """Stop what this tool started."""
    shop = Workshop.open(options)
    stopped = local_registry(shop, Makers(shop)).stop()
    if options.json:
        print_json({"stopped": list(stopped)})
        return
    for place in stopped:
        shop.reporter.note(f"stopped the registry at {place}; its data stays")
    if not stopped:
        shop.reporter.note("no registry of ours runs")


def show_registry(options: Options) -> None:
    """Say what answers at each hub and what it holds."""
    shop = Workshop.open(options)
    makers = Makers(shop)
    registry = local_registry(shop, makers)
    found = []
    for hub in _hubs(shop):
        serving = registry.status(hub, named=_is_named(shop))
        held = makers.registry.catalog(serving.registry) if serving.is_running else ()
        found.append((serving, held))
    _show(shop, found)


def local_registry(shop: Workshop, makers: Makers) -> LocalRegistry:
    """Construct the local registry's keeper."""

    def build(target: Platform) -> Path:
        pin = _pin(shop)
        kept = kept_registry(target, pin, shop.store)
        if kept is not None:
            return kept
        shop.reporter.note(f"building a registry from {pin.module}, once")
        command = makers.go.command()
        return build_registry(
            target,
            pin=pin,
            go=command.program,
            env=command.environment,
            runner=shop.processes,
            store=shop.store,
        )

    def containers() -> Containers | None:
        return _containers(shop, makers)

    pin = shop.project.lock.tools.get(TOOL)
    return LocalRegistry(
        store=shop.store,
        pool=makers.pool,
        runner=shop.processes,
        environ=shop.environ,
        containers=containers,
        build_registry=build,
        version=pin.version if pin else "",
        tell=shop.reporter.note,
    )


def _containers(shop: Workshop, makers: Makers) -> Containers | None:
    from buildkit.images.daemon import daemon_problem  # noqa: PLC0415 - a registry that runs needs none

    if daemon_problem(shop.environ):
        return None
    client = makers.docker()
    info = client.info()
    return Containers(
        client=client,
        nearness=nearness(
            info,
            client.api.base_url,
            host_system=sys.platform,
            host_name=platform.node(),
        ),
        architecture=str(client.version()["Arch"]),
    )


def _pin(shop: Workshop) -> ToolPin:
    pin = shop.project.lock.tools.get(TOOL)
    if pin is None:
        raise ConfigError(
            "no registry program is here, and the lock pins none to build",
            resolution="Run `invoke lock`, install a `registry` program, "
            "or name a running registry with --hub.",
        )
    return pin


def _hubs(shop: Workshop, *, loopback: bool = False) -> list[str]:
    found = shop.settings.destinations
    return [item.hub.text for item in found if item.is_loopback or not loopback]


def _is_named(shop: Workshop) -> bool:
    """Whether the user chose the hub for this call, so that no other port will do."""
    return names_hub(shop.options, shop.environ)


def _show(shop: Workshop, found: list[tuple[Serving, tuple[str, ...]]]) -> None:
    if shop.options.json:
        print_json({"registries": [_describe(serving, held) for serving, held in found]})
        return
    for serving, held in found:
        _tell(shop, serving, held)


def _describe(serving: Serving, held: tuple[str, ...]) -> dict[str, Any]:
    return {
        "hub": serving.hub,
        "registry": serving.registry,
        "running": serving.is_running,
        "ours": serving.state is not None,
        "folder": str(serving.folder),
        "repositories": list(held),
    }


def _tell(shop: Workshop, serving: Serving, held: tuple[str, ...]) -> None:
    if not serving.is_running:
        words = serving.found.words or "nothing answers"
        shop.shown.note(f"no registry at {serving.registry}: {words}")
        return
    ours = f"started by this tool, in {serving.folder}" if serving.state else "not ours"
    shop.shown.note(f"a registry answers at {serving.registry} ({ours})")
    for repository in held:
        shop.shown.note(f"  {repository}")
