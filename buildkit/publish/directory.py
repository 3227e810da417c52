"""A directory as a destination: a mounted share, a web server's root, a staging area."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError
from buildkit.publish.cargo import CargoFile
from buildkit.publish.files import Found
from buildkit.store import atomic_copy, remove_leftovers


class Directory(Struct, frozen=True):
    """A shelf; each file appears whole."""

    root: Path

    def place(self, name: str) -> str:
        """Return the path."""
        return str(self.root / name)

    def look(self, name: str) -> Found | None:
        """Tell size and time of change.

        Raises:
            EnvironmentMissingError: it cannot be read.
        """
        try:
            status = (self.root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EnvironmentMissingError.of_file(f"cannot look at {name}", error) from error
        mark = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
        return Found(size=status.st_size, mark=mark)

    def put(self, file: CargoFile, *, replace: bool) -> None:
        """Copy a file, wholly or not at all; what a killed run left of a copy goes.

        Raises:
            EnvironmentMissingError: it cannot be written, as on a full disk.
        """
        del replace
        target = self.root / file.name
        try:
            remove_leftovers(target.parent, {target.name})
            atomic_copy(file.path, target)
        except OSError as error:
            brief = f"cannot write {file.name} to {self.root}"
            raise EnvironmentMissingError.of_file(brief, error) from error

    def digest(self, name: str) -> Digest:
        """Read a file back."""
        try:
            return Digest.of_file(self.root / name)
        except OSError as error:
            raise EnvironmentMissingError.of_file(f"cannot read {name}", error) from error
