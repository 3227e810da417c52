"""What is known of a machine and a project; values only, so that any machine can be told of.

Sizes are in bytes, times in seconds since 1970. A default is what a healthy Linux
machine without a project has.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from buildkit.registry.probe import Presence
from buildkit.toolchain import Wanted
from buildkit.vcs import WorktreeKind

DARWIN = "darwin"


class GoFacts(Struct, frozen=True, kw_only=True):
    """The Go on PATH, the one that is wanted, and the one that the lock pins."""

    found: str = ""
    goroot: str = ""
    broken: str = ""
    """Why the ``go`` on PATH does not say what it is."""
    wanted: Wanted = field(default_factory=Wanted)
    locked: str = ""
    """The version pinned for this machine."""
    is_provisioned: bool = False
    """The pinned one lies in the user's cache."""
    ignored: tuple[str, ...] = ()
    """Variables of the environment that have no say in a build."""


class TreeFacts(Struct, frozen=True, kw_only=True):
    """The source tree and git."""

    path: str
    root: str = ""
    """Of the tree that git knows, at or above ``path``."""
    git: bool = True
    """There is a git on PATH."""
    kind: WorktreeKind | None = WorktreeKind.PLAIN
    """None outside git."""
    git_directory: str = ""
    is_whole: bool = True
    """What ``.git`` names exists."""
    is_shallow: bool = False
    is_foreign: bool = False
    """Another user owns it."""
    is_safe: bool = False
    """The user's own configuration lists it in safe.directory."""
    has_commit: bool = True
    is_dirty: bool = False


class DockerFacts(Struct, frozen=True, kw_only=True):
    """The daemon, if one answers, and where else one could be."""

    endpoint: str = ""
    """A socket's path, an address without its password, or the name of a context."""
    origin: str = "the default"
    """What chose it."""
    problem: str = ""
    is_refused: bool = False
    """The socket is there, but not for this user."""
    passed_over: str = ""
    """A context that DOCKER_HOST overrules."""
    other_sockets: tuple[tuple[str, str], ...] = ()
    """Name and path of sockets that nobody asked."""
    version: str = ""
    arch: str = ""
    """In Go's spelling."""
    is_podman: bool = False
    is_virtual: bool = False
    """It runs in a virtual machine or on another one: its files and clock are not ours."""
    driver: str = ""
    root: str = ""
    free: int | None = None
    """Below ``root``, where that can be told."""
    has_proxy: bool = False
    seconds_ahead: float = 0.0
    """Its clock less ours."""
    needed: str = ""
    """Why the project cannot do without, empty where it can."""


class BuildxFacts(Struct, frozen=True, kw_only=True):
    """BuildKit through the docker CLI."""

    needed: str = ""
    """What asks for it; empty where nothing does, and then nobody looked."""
    problem: str = ""
    """Why it cannot be used."""


class BootstrapFacts(Struct, frozen=True, kw_only=True):
    """mmdebstrap, and who needs it."""

    program: str = ""
    """Where it is."""
    bases: tuple[str, ...] = ()
    """The bases in use that it installs."""
    stopped: tuple[str, ...] = ()
    """Of what cannot be made for want of it: the unit and why."""
    evaded: tuple[str, ...] = ()
    """What takes another base for want of it."""


class CredentialFacts(Struct, frozen=True, kw_only=True):
    """One file with credentials; nothing secret is kept."""

    path: str
    is_podman: bool = False
    error: str = ""
    logins: int = 0
    helpers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    """Those of the helpers that PATH lacks."""
    needed: tuple[str, ...] = ()
    """Those of the helpers that a push of this project asks."""


class ProxyFacts(Struct, frozen=True, kw_only=True):
    """Our own proxy variables: name and host, never a password."""

    hosts: tuple[tuple[str, str], ...] = ()
    error: str = ""


class MirrorFacts(Struct, frozen=True, kw_only=True):
    """Where modules and wheels come from; of addresses the host alone."""

    goproxy: tuple[str, ...] = ()
    """The hosts, or the words ``direct`` and ``off``; empty where go was not asked."""
    pip: tuple[str, ...] = ()
    """What sets pip's index: variables and files."""
    mirrors: int = 0
    """Of ``[mirrors]``."""
    is_offline: bool = False


class HubFacts(Struct, frozen=True, kw_only=True):
    """What answers where images go."""

    hub: str
    is_loopback: bool = True
    is_named: bool = False
    """The user chose it for this call, so that no other port will do."""
    is_pushed: bool = True
    presence: Presence | None = Presence.REGISTRY
    """None where it was not asked."""
    words: str = ""
    unasked: str = ""
    """Why it was not asked."""


class Handler(StrEnum):
    """Who runs an architecture's programs."""

    NATIVE = "native"
    FIXED = "fixed"
    """An interpreter that the kernel keeps open (flag F), so containers have it."""
    UNFIXED = "unfixed"
    DISABLED = "disabled"
    MISSING = "missing"
    UNKNOWN = "unknown"


class EmulationFacts(Struct, frozen=True, kw_only=True):
    """Whether containers of an architecture run here."""

    arch: str
    handler: Handler = Handler.NATIVE


class DiskFacts(Struct, frozen=True, kw_only=True):
    """One file system and what a whole build writes to it."""

    folders: tuple[str, ...]
    free: int
    needed: int = 0
    """As the last build's records say; 0 for unknown."""


class MemoryFacts(Struct, frozen=True, kw_only=True):
    """What a run may take, and the most that one step of the last build took (0: unknown)."""

    available: int
    needed: int = 0


class ClockFacts(Struct, frozen=True, kw_only=True):
    """Now, and the time of the newest commit (0: unknown)."""

    now: float
    commit: int = 0


class CacheFacts(Struct, frozen=True, kw_only=True):
    """The user's cache."""

    place: str
    size: int = 0
    limit: int | None = None
    """None for no limit."""
    wrong_limit: str = ""
    """Why the limit that is set cannot be read."""
    error: str = ""
    """Why it cannot be used."""


class ProjectFacts(Struct, frozen=True, kw_only=True):
    """Whether the configuration and its lock are right."""

    targets: str
    error: str = ""
    """Why the configuration cannot be used."""
    resolution: str = ""
    unchecked: str = ""
    """Why it was not checked to the end, for a reason that another check names."""
    units: int = 0
    unpinned: tuple[str, ...] = ()


class Facts(Struct, frozen=True, kw_only=True):
    """Everything that the checks are given; None and nothing where there is no project."""

    system: str = "linux"
    """As sys.platform."""
    project: ProjectFacts | None = None
    go: GoFacts
    tree: TreeFacts | None = None
    docker: DockerFacts
    buildx: BuildxFacts = field(default_factory=BuildxFacts)
    bootstrap: BootstrapFacts = field(default_factory=BootstrapFacts)
    credentials: tuple[CredentialFacts, ...] = ()
    absent_auth_file: str = ""
    """What REGISTRY_AUTH_FILE names, where that does not exist."""
    proxy: ProxyFacts = field(default_factory=ProxyFacts)
    mirrors: MirrorFacts = field(default_factory=MirrorFacts)
    hubs: tuple[HubFacts, ...] = ()
    emulation: tuple[EmulationFacts, ...] = ()
    disks: tuple[DiskFacts, ...] = ()
    memory: MemoryFacts
    clock: ClockFacts
    cache: CacheFacts
