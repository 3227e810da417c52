"""Parts are those of one release, all of them, or the merge is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from buildkit.errors import UsageError
from buildkit.release.documents import ReleaseDocument, ToolEntry, UnitEntry
from buildkit.release.merge import Part, merge_files, merge_outline, order_parts
from tests.unit.release.test_sealing import DOCUMENT, entry


def part(shard: str, **changes: object) -> Part:
    document: ReleaseDocument = structs.replace(DOCUMENT, shard=shard, **changes)
    return Path(f"p{shard.replace('/', 'of')}"), document


def refused(*parts: Part) -> str:
    with pytest.raises(UsageError) as told:
        order_parts(parts)
    return str(told.value)


def test_parts_are_put_in_order() -> None:
    parts = [part("2/3"), part("3/3"), part("1/3")]
    assert [document.shard for _, document in order_parts(parts)] == ["1/3", "2/3", "3/3"]


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        (("1/2",), "missing: 2/2"),
        (("1/2", "2/3"), "not all parts of one release"),
        (("1/2", "2/2", "3/2"), "not all parts of one release"),
        (("1/2", "1/2", "2/2"), "are both part 1/2"),
        (("", "1/1"), "is a whole release"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(shards: tuple[str, ...], said: str) -> None:
    assert said in refused(*map(part, shards))


def test_parts_of_different_releases_are_refused() -> None:
    said = refused(part("1/2"), part("2/2", version="1.0.1"))
    assert "version: 1.0.0 and 1.0.1" in said


def test_parts_by_different_tools_are_refused() -> None:
    parts = [
        part(f"{number}/2", tools=(ToolEntry(name="go", version=f"1.2{number}"),))
        for number in (1, 2)
    ]
    with pytest.raises(UsageError, match=r"made by go 1\.21 and 1\.22"):
        merge_outline(order_parts(parts), "")


def test_the_whole_has_the_platforms_in_their_order_and_every_unit_once() -> None:
    units = [UnitEntry(id=name, digest=name, size=1) for name in ("a", "b", "base")]
    first = part("1/2", platforms=("p1", "p3"), units=(units[0], units[2]))
    second = part("2/2", platforms=("p2",), units=(units[1], units[2]))
    whole = merge_outline([first, second], "me")
    assert whole.platforms == ("p1", "p2", "p3")
    assert [unit.id for unit in whole.units] == ["a", "b", "base"]
    assert (whole.shard, whole.signer) == ("", "me")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    parts = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.txt").write_text(str(number))
        file = structs.replace(entry("a.txt", "Source"), sha256=str(number))
        parts.append((folder, structs.replace(DOCUMENT, shard=f"{number}/2", files=(file,))))
    with pytest.raises(UsageError, match=r"different files a\.txt"):
        merge_files(tmp_path, parts, epoch=0, without=frozenset())
