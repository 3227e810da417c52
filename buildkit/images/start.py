"""Whether a container of an image could start: its program exists, may run, and fits."""

from __future__ import annotations

import posixpath

from buildkit.errors import VerificationError
from buildkit.images.tree import Tree
from buildkit.machine import HEADER_SIZE, parse_machine
from buildkit.oci.config import RunConfig
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.tarstream import content_head
from buildkit.platform import Platform

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start_problem(tree: Tree, config: RunConfig, platform: Platform) -> str:
    """Say why the image's own command cannot start; empty where it can, or there is none."""
    words = (*(config.entrypoint or ()), *(config.cmd or ()))
    if not words:
        return ""
    entry = find_program(tree, config)
    if entry is None or entry.type is not EntryType.FILE:
        return f"it starts {words[0]}, which is not in the image"
    if not entry.mode & 0o111:
        return f"it starts {words[0]}, which is not executable"
    return _machine_problem(entry, words[0], platform)


def find_program(tree: Tree, config: RunConfig) -> Entry | None:
    """Return what a container of an image starts; None where there is nothing at that path."""
    words = (*(config.entrypoint or ()), *(config.cmd or ()))
    places = _places(config, words[0]) if words else ()
    return next((item for path in places if (item := tree.find(path))), None)


def _places(config: RunConfig, program: str) -> tuple[str, ...]:
    if "/" in program:
        return (posixpath.join("/", config.working_dir, program),)
    folders = config.environment.get("PATH", _PATH).split(":")
    return tuple(posixpath.join("/", folder, program) for folder in folders)


def _machine_problem(entry: Entry, program: str, platform: Platform) -> str:
    head = content_head(entry.content, HEADER_SIZE)
    if head.startswith(b"#!"):
        return ""
    try:
        machines = parse_machine(head, program)
    except VerificationError as error:
        return f"it starts {program}: {error.brief}"
    if any(machine.fits(platform) for machine in machines):
        return ""
    return f"it starts {program}, which is an {' and '.join(sorted(map(str, machines)))}"
