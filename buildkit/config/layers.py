"""Lay a targets file over what it extends, and the local file over both.

Tables merge key by key, lists and values replace. What lies lower is written by
others for others, so its relative paths keep their meaning and its
``project.source`` is left behind: a fork's tree is the fork's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct

from buildkit.config.problems import Origins, Page, near_miss
from buildkit.errors import ConfigError, UsageError

EXAMPLES = Path(__file__).parents[1] / "examples"
"""Where the shipped examples lie: in a checkout as links to those at its root."""


class Layer(Struct, frozen=True, kw_only=True):
    """One of the pages that a configuration is laid together from.

    Attributes:
        page: its name in messages and its text.
        data: its tables.
        root: the directory that its relative paths start from.
        path: the file; None for what is no file.
    """

    page: Page
    data: dict[str, Any]
    root: Path
    path: Path | None = None


def read_layers(targets: Path, examples: Path = EXAMPLES) -> tuple[Layer, ...]:
    """Read a targets file and what it extends, the lowest first.

    Raises:
        UsageError: the file does not exist.
        ConfigError: a file cannot be read, what it extends does not exist, or they form a cycle.
    """
    layers = [read_layer(targets, targets.name)]
    while base := layers[-1].data.get("extends"):
        above = layers[-1]
        path = _base_path(above, base, examples)
        seen = [layer.path for layer in layers]
        if path in seen:
            circle = " -> ".join(_name(item, targets) for item in (*seen, path) if item)
            raise ConfigError(f"{_at(above)}: a cycle: {circle}", resolution="Break it.")
        layers.append(read_layer(path, _name(path, targets)))
    return tuple(reversed(layers))


def local_path(targets: Path) -> Path:
    """Return where the local file of a targets file may lie: ``targets.local.toml``."""
    return targets.with_suffix(".local.toml")


def read_local(targets: Path) -> Layer | None:
    """Read the local file beside a targets file, if there is one.

    Raises:
        ConfigError: it cannot be read, or extends something.
    """
    path = local_path(targets)
    if not path.exists():
        return None
    layer = read_layer(path, path.name)
    if "extends" in layer.data:
        raise ConfigError(
            f"{_at(layer)}: a local file extends nothing",
            details=f"It lies over {targets.name} as it is.",
            resolution=f"Write extends into {targets.name}.",
        )
    return layer


def read_layer(path: Path, name: str) -> Layer:
    """Read the TOML of one file.

    Raises:
        UsageError: there is no such file.
        ConfigError: it cannot be read, or is no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no {path}",
            resolution="Name the file with --targets, or start where a targets.toml lies.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read", details=str(error)) from error
    page = Page(file=name, text=text)
    return Layer(page=page, data=parse_toml(page), root=path.parent, path=path)


def parse_toml(page: Page) -> dict[str, Any]:
    """Return the tables of a text.

    Raises:
        ConfigError: a syntax error, with its line.
    """
    try:
        return tomli.loads(page.text)
    except tomli.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{page.file}:{place.group(1)}:{place.group(2)}" if place else page.file
        reason = re.sub(r" \(at line .*\)$", "", str(error))
        raise ConfigError(
            f"{where}: TOML syntax error", details=reason, resolution="Mend that line."
        ) from error


def merge(layers: Sequence[Layer], main: Layer) -> tuple[dict[str, Any], Origins]:
    """Lay layers over each other, the lowest first.

    Args:
        layers: all of them.
        main: the targets file, which the paths of the result are relative to.
    """
    data: dict[str, Any] = {}
    written: dict[tuple[str, ...], Page] = {}
    is_below = True
    for layer in layers:
        is_below = is_below and layer is not main
        _lay(data, _moved(layer, main) if is_below else layer.data, (), layer.page, written)
    _find_templates(data, layers, main, written)
    return data, Origins(main=main.page, written=written)


def _lay(
    below: dict[str, Any],
    above: Mapping[str, Any],
    path: tuple[str, ...],
    page: Page,
    written: dict[tuple[str, ...], Page],
) -> None:
    for key in _superseded(path, below, above):
        _drop(below, key, path, written)
    for key, value in above.items():
        here = (*path, key)
        if not (isinstance(value, dict) and isinstance(below.get(key), dict)) or _is_whole(here):
            _drop(below, key, path, written)
        written[here] = page
        if isinstance(value, dict):
            _lay(below.setdefault(key, {}), value, here, page, written)
        else:
            below[key] = value


def _drop(
    table: dict[str, Any], key: str, path: tuple[str, ...], written: dict[tuple[str, ...], Page]
) -> None:
    """Remove a value with the memory of who wrote it and what is in it."""
    if key not in table:
        return
    del table[key]
    here = (*path, key)
    for keys in [keys for keys in written if keys[: len(here)] == here]:
        del written[keys]


def _is_whole(path: tuple[str, ...]) -> bool:
    """Tell whether a table is one value: where a tree, a version or an argument comes from."""
    match path:
        case ("project", "source") | ("fetch", _, "version"):
            return True
        case (*_, "args", _):
            return True
        case _:
            return False


def _superseded(
    path: tuple[str, ...], below: Mapping[str, Any], above: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the keys below that mean nothing any more beside what stands above."""
    match path:
        case ("version",) if "file" in above:
            return ("json", "line", "suffix")
        # An image has one or the other, and a Dockerfile names its bases.
        case ("images", _) if "dockerfile" in above:
            return ("template", "base")
        case ("images", _) if "template" in above:
            return ("dockerfile",)
        case ("bases", _) if "kind" in above and above["kind"] != below.get("kind"):
            return tuple(below)
        case _:
            return ()


def _moved(layer: Layer, main: Layer) -> dict[str, Any]:
    """Return the tables of a layer below, with its paths as they are seen from the main file."""
    data = {key: value for key, value in layer.data.items() if key != "extends"}
    if isinstance(project := data.get("project"), dict):
        data["project"] = {key: value for key, value in project.items() if key != "source"}
    if layer.root == main.root:
        return data

    def move(value: Any) -> Any:
        # Of the source tree or of what a command makes, which lie where they lie.
        if not isinstance(value, str) or value.startswith("${"):
            return value
        return _relative(layer.root / value, main.root)

    def archive(table: Any) -> Any:
        return _at_key(table, "files", lambda files: _each(files, move))

    movers = {"images": _move_image, "packages": _move_package, "command": _move_command}
    for key in movers.keys() & data.keys():
        data[key] = _each(data[key], partial(movers[key], move=move))
    if isinstance(smoke := data.get("smoke"), dict):
        data["smoke"] = _move_smoke(smoke, move)
    if isinstance(release := data.get("release"), dict):
        release = _at_key(release, "archives", lambda found: _each(found, archive))
        data["release"] = _at_key(release, "license", move)
    return data


def _move_image(image: Any, move: Any) -> Any:
    image = _at_key(_at_key(image, "dockerfile", move), "template", move)
    return _at_key(image, "files", lambda files: _each(files, move))


def _move_command(command: Any, move: Any) -> Any:
    def paths(texts: Any) -> Any:
        return [move(text) for text in texts] if isinstance(texts, list) else texts

    return _at_key(_at_key(command, "directory", move), "inputs", paths)


def _move_package(package: Any, move: Any) -> Any:
    def files(table: Any) -> Any:
        return _at_key(table, "files", lambda found: _each(found, move))

    for key in ("files", "config", "scripts"):
        package = _at_key(package, key, lambda found: _each(found, move))
    for key in ("deb", "rpm"):
        package = _at_key(package, key, files)
    return package


def _move_smoke(smoke: Any, move: Any) -> Any:
    def copies(item: Any) -> Any:
        return _at_key(item, "copy", lambda files: _each(files, move))

    def step(item: Any) -> Any:
        return _at_key(item, "copy", lambda each: _each(each, lambda files: _each(files, move)))

    smoke = _at_key(smoke, "containers", lambda found: _each(found, copies))
    return _at_key(
        smoke, "steps", lambda found: [step(x) for x in found] if isinstance(found, list) else found
    )


def _each(table: Any, change: Any) -> Any:
    # What is no table is left for the decoder to complain about.
    return {k: change(v) for k, v in table.items()} if isinstance(table, dict) else table


def _at_key(table: Any, key: str, change: Any) -> Any:
    if not isinstance(table, dict) or key not in table:
        return table
    return {**table, key: change(table[key])}


def _find_templates(
    data: dict[str, Any],
    layers: Sequence[Layer],
    main: Layer,
    written: dict[tuple[str, ...], Page],
) -> None:
    """Give images the template that lies beside the highest file that has one."""
    images = data.get("images")
    below = [layer for layer in reversed(layers) if layer.root != main.root]
    for name, image in images.items() if below and isinstance(images, dict) else ():
        usual = Path("images", name, "Dockerfile.j2")
        named = isinstance(image, dict) and image.keys() & {"dockerfile", "template"}
        if not isinstance(image, dict) or named or (main.root / usual).exists():
            continue
        for layer in (layer for layer in below if (layer.root / usual).exists()):
            image["template"] = _relative(layer.root / usual, main.root)
            written["images", name, "template"] = layer.page
            break


def _base_path(layer: Layer, base: Any, examples: Path) -> Path:
    if not isinstance(base, str):
        raise ConfigError(f"{_at(layer)}: expected a name or a path")
    if "/" in base or base.endswith(".toml"):
        path, hint = layer.root / base, "The path is relative to the file that names it."
    else:
        names = [path.stem for path in examples.glob("*.toml")]
        path, hint = examples / f"{base}.toml", f"Of the shipped examples, {near_miss(base, names)}"
    if not path.is_file():
        raise ConfigError(
            f"{_at(layer)}: there is no '{base}' to extend",
            details=hint,
            resolution="Name a shipped example, or the path of a targets file.",
        )
    return path.resolve()


def _at(layer: Layer) -> str:
    return f"{layer.page.place('extends')}: extends"


def _name(path: Path, targets: Path) -> str:
    return path.name if path == targets else _relative(path, targets.parent)


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
