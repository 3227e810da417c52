"""What a killed run left below ``out/``: scratch directories and files that were being written."""

from __future__ import annotations

import shutil
from pathlib import Path

from buildkit.plan.planner import Plan
from buildkit.plan.units import BuildPackage, Compile, Download, SaveImage, WriteLayout
from buildkit.store import remove_leftovers

LAYOUT_FILES = ("index.json", "oci-layout")
"""What a layout has beside its blobs, whose leftovers its writer removes."""


def tidy_out(state: Path, plan: Plan) -> None:
    """Remove the leftovers of killed runs, while the lock on ``out/`` is held.

    Outputs are looked at only if anything runs: what was being written has no
    record, so it is made again.

    Args:
        state: the directory of records and scratch space.
        plan: what is about to be carried out.
    """
    scratch = state / "tmp"
    for path in scratch.iterdir() if scratch.is_dir() else ():
        # A compiler that outlived its killed parent may still write here; it writes for nobody.
        shutil.rmtree(path, ignore_errors=True)
    remove_leftovers(state)
    if not plan.running:
        return
    for folder in (state / "images").glob("*"):
        remove_leftovers(folder)
    places: dict[Path, set[str]] = {}
    for step in plan.steps:
        match step.unit.action:
            case (
                Compile(output=path)
                | Download(output=path)
                | SaveImage(output=path)
                | BuildPackage(output=path)
            ):
                places.setdefault(path.parent, set()).add(path.name)
            case WriteLayout(folder=folder):
                places.setdefault(folder, set()).update(LAYOUT_FILES)
            case _:
                pass
    for folder, names in places.items():
        remove_leftovers(folder, names)
