"""A pip that serves wheels from memory, for :class:`tests.fakes.runner.FakeRunner`."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from buildkit.digest import Digest
from tests.fakes.runner import Call

NO_MATCH = (
    b"ERROR: Could not find a version that satisfies the requirement (from versions: none)\n"
    b"ERROR: No matching distribution found"
)


def make_wheel(members: dict[str, bytes]) -> bytes:
    """Return a zip of these files, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


class FakePip:
    """Answers ``pip download`` and ``pip install --dry-run`` as pip 23 to 26 do."""

    def __init__(self, wheels: dict[str, bytes]) -> None:
        self.wheels = wheels
        """Content by file name."""

    def __call__(self, call: Call) -> tuple[int, bytes, bytes]:
        """Play one call."""
        tags = [a.removeprefix("--platform=") for a in call.argv if a.startswith("--platform=")]
        if "download" in call.argv:
            return self._download(call.cwd, tags)
        report = Path(call.argv[call.argv.index("--report") + 1])
        return self._report(report, call.argv[call.argv.index("--report") + 2], tags)

    def _match(self, wanted: str, tags: list[str]) -> str | None:
        project, _, version = wanted.partition("==")
        start = f"{project.replace('-', '_')}-{version}"
        for tag in tags:
            for name in sorted(self.wheels, reverse=True):
                if name.startswith(start) and tag in name.removesuffix(".whl").split("-")[-1]:
                    return name
        return None

    def _download(self, into: Path, tags: list[str]) -> tuple[int, bytes, bytes]:
        text = (into / "requirements.txt").read_text(encoding="utf-8")
        wanted, _, expected = text.strip().partition(" --hash=sha256:")
        name = self._match(wanted, tags)
        if name is None:
            return 1, b"", NO_MATCH
        found = Digest.of_bytes(self.wheels[name]).hex
        if found != expected:
            words = f"{wanted} from x:\n  Expected sha256 {expected}\n       Got        {found}\n"
            return 1, b"", b"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n" + words.encode()
        (into / name).write_bytes(self.wheels[name])
        return 0, b"", b""

    def _report(self, report: Path, wanted: str, tags: list[str]) -> tuple[int, bytes, bytes]:
        name = self._match(wanted, tags)
        if name is None:
            return 1, b"", NO_MATCH
        hashes = {"sha256": Digest.of_bytes(self.wheels[name]).hex}
        info = {"url": f"https://index.example/{name}", "archive_info": {"hashes": hashes}}
        report.write_text(json.dumps({"version": "1", "install": [{"download_info": info}]}))
        return 0, b"", b""
