"""What is compiled: a Go module of the size of a service mesh.

Of others it has the standard library and gRPC, which every mesh speaks: 107 packages, where
Istio needs 1,689.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MODULE = "example.com/bench"
REQUIRED = "google.golang.org/grpc"
REQUIRED_VERSION = "v1.75.1"
PACKAGES, FILES = 312, 2500
PLATFORMS = ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")
GROUPS = {"": ("full",), "agent": ("agent", "small")}
"""Build tags by group of settings; the first group is the default one."""
BINARIES = {
    "discovery": "",
    "ctl": "",
    "operator": "",
    "client": "",
    "server": "",
    "authz": "",
    "proxy-agent": "agent",
    "node-agent": "agent",
}
"""The group of each binary."""
EDITED = "ctl"
"""The one binary that a leaf is of."""
VERSION = "1.2.3"

_ITEMS = 3
_IMPORTS = """
import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"
)
"""
_ITEM = """
// ITEM keeps values by key, as much of a mesh does.
type ITEM struct {
	Name  string
	Since time.Time
	lock  sync.Mutex
	parts map[string][]int
}

// Add appends values to those of a key.
func (item *ITEM) Add(key string, values ...int) error {
	item.lock.Lock()
	defer item.lock.Unlock()
	if strings.TrimSpace(key) == "" {
		return errors.Join(errors.New("NAME: no key"), fmt.Errorf("%s refused it", item.Name))
	}
	item.parts[key] = append(item.parts[key], values...)
	return nil
}

// Keys returns the keys, sorted.
func (item *ITEM) Keys() (keys []string) {
	for key := range item.parts {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
"""
_REACH = 24
_TAGGED = 8
_STANDARD = ("net/http", "encoding/json", "text/template", "go/parser", "archive/zip", "log/slog")
_KEPT = (
    "var Uses = []any{http.Get, json.Marshal, template.New, parser.ParseFile, "
    "zip.OpenReader, slog.Info, grpc.NewServer, grpc.NewClient}\n"
)
_STAMPED = """\
package stamp

var Version, Revision = "none", "none"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A module in a git repository of its own.

    Attributes:
        folder: where it lies.
        packages: how many packages the binaries share.
        files: about how many Go files there are.
    """

    folder: Path
    packages: int = PACKAGES
    files: int = FILES

    def divided(self, scale: int) -> GoModule:
        """Return a smaller module of the same shape, for a run that is quick."""
        return replace(
            self,
            packages=max(self.packages // scale, len(BINARIES)),
            files=max(self.files // scale, len(BINARIES)),
        )

    @property
    def stamps(self) -> dict[str, str]:
        """The variables that the linker sets, and what they are called in targets.toml."""
        return {f"{MODULE}/stamp.Version": "version", f"{MODULE}/stamp.Revision": "git.revision"}

    def create(self) -> None:
        """Write everything anew and commit it; Go fetches what is required.

        Raises:
            subprocess.CalledProcessError: that cannot be fetched, or git fails.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, text in self.content():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._run("go", "mod", "tidy")
        self._git("init", "--quiet")
        # GoReleaser says that there is no commit where it finds no remote; nothing is fetched.
        self._git("remote", "add", "origin", f"https://{MODULE}.git")
        self.commit(0)
        self._git("tag", f"v{VERSION}")

    def content(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the text of every file."""
        yield (
            "go.mod",
            f"module {MODULE}\n\ngo 1.24\n\nrequire {REQUIRED} {REQUIRED_VERSION}\n",
        )
        yield "stamp/stamp.go", _STAMPED
        yield "pkg/others/others.go", _others()
        for number in range(self.packages):
            yield from self._package(number)
        for position, name in enumerate(BINARIES):
            yield from self._binary(name, position)

    def edit(self, turn: int) -> None:
        """Change one file that one binary is made of."""
        (self.folder / _leaf(EDITED)).write_text(_leaf_text(turn))

    def commit(self, turn: int) -> None:
        """Commit a change to a file that is no Go file."""
        (self.folder / "NOTES").write_text(f"turn {turn}\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", f"--message=turn {turn}")

    def revision(self) -> str:
        """Return what is checked out."""
        return self._git("rev-parse", "HEAD").strip()

    def members(self, group: str) -> tuple[str, ...]:
        """Return the binaries of a group of settings."""
        return tuple(name for name, of in BINARIES.items() if of == group)

    def _package(self, number: int) -> Iterator[tuple[str, str]]:
        name, folder = f"p{number:03}", f"pkg/p{number:03}"
        # Each package imports a few of those before it, near and far, as in a tree that grew.
        needed = sorted({max(number - step, 0) for step in (1, 7, _REACH)} - {number})
        imports = "".join(f'\t"{MODULE}/pkg/p{need:03}"\n' for need in needed)
        parts = range(max(1, round(self.files / self.packages) - 2))
        sums = "".join(f" + p{need:03}.Sum" for need in needed)
        sums += "".join(f" + len(Part{part})" for part in parts)
        yield (
            f"{folder}/{name}.go",
            f"package {name}\n\nimport (\n{imports})\n\nvar Sum = Mode{sums}\n",
        )
        yield from self._modes(number, name, folder)
        for part in parts:
            yield f"{folder}/part{part}.go", _part(name, part)

    def _modes(self, number: int, name: str, folder: str) -> Iterator[tuple[str, str]]:
        tagged = number % _TAGGED == 0
        for mode, tag in enumerate(("full", "agent") if tagged else ("",)):
            constraint = f"//go:build {tag}\n\n" if tag else ""
            text = f"{constraint}package {name}\n\nconst Mode = {mode}\n"
            yield f"{folder}/mode{'_' * bool(tag)}{tag}.go", text

    def _binary(self, name: str, position: int) -> Iterator[tuple[str, str]]:
        last = self.packages - 1 - position
        yield f"cmd/{name}/main.go", _main(name, max(last, 0))
        yield _leaf(name), _leaf_text(0)

    def _git(self, *words: str) -> str:
        who = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        quiet = ("-c", "commit.gpgsign=false", "-c", "gc.auto=0")
        return self._run("git", *who, *quiet, *words)

    def _run(self, *command: str) -> str:
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout


def _others() -> str:
    imports = "".join(f'\t"{name}"\n' for name in (*_STANDARD, REQUIRED))
    return f"package others\n\nimport (\n{imports})\n\n{_KEPT}"


def _part(name: str, part: int) -> str:
    """Return a file of about 80 lines, all of which the linker keeps."""
    items = [f"Item{part}x{number}" for number in range(_ITEMS)]
    bodies = "".join(_ITEM.replace("ITEM", item).replace("NAME", name) for item in items)
    made = ", ".join(f"&{item}{{}}" for item in items)
    return f"package {name}\n{_IMPORTS}\nvar Part{part} = []any{{{made}}}\n{bodies}"


def _main(name: str, last: int) -> str:
    imports = (f"cmd/{name}/leaf", "pkg/others", f"pkg/p{last:03}", "stamp")
    lines = "".join(f'\t"{MODULE}/{path}"\n' for path in imports)
    return (
        f'package main\n\nimport (\n\t"fmt"\n\n{lines})\n\nfunc main() {{\n'
        f"\tfmt.Println(stamp.Version, stamp.Revision, leaf.Turn, p{last:03}.Sum)\n"
        "\tfmt.Println(len(others.Uses))\n}\n"
    )


def _leaf(name: str) -> str:
    return f"cmd/{name}/leaf/leaf.go"


def _leaf_text(turn: int) -> str:
    return f"package leaf\n\nconst Turn = {turn}\n"
