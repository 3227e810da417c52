"""The Go toolchain: found on PATH where it fits, else the locked one, provisioned once.

Finding costs no process: a GOROOT names its version in a file. Only a shim
(goenv, asdf, snap) must be asked once where the real one lies.
"""

from buildkit.toolchain.accept import Wanted, compare_versions, read_wanted
from buildkit.toolchain.choose import GoChoice, LockedGo, choose_go
from buildkit.toolchain.environment import child_environment, read_settings
from buildkit.toolchain.find import Toolchain, find_go, toolchain_at

__all__ = [
    "GoChoice",
    "LockedGo",
    "Toolchain",
    "Wanted",
    "child_environment",
    "choose_go",
    "compare_versions",
    "find_go",
    "read_settings",
    "read_wanted",
    "toolchain_at",
]
