from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from buildkit.images.owners import find_owner
from buildkit.images.tree import Tree
from buildkit.oci.layer import file, symlink

PASSWD = b"root:x:0:0::/:\n# comment\n\nbroken\napp:x:1001:1002::/:\nnone:x::\n"
GROUP = b"root:x:0:\nstaff:x:50:app\n"
TREE = Tree.of((file("etc/passwd", PASSWD), file("etc/group", GROUP)))


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("5", (5, 5)),
        ("5:6", (5, 6)),
        ("app", (1001, 1002)),
        ("app:staff", (1001, 50)),
        ("app:7", (1001, 7)),
        ("9:staff", (9, 50)),
        ("app:", (1001, 1002)),
        (":staff", (0, 50)),
    ],
)
def test_names_are_those_of_the_image(text: str, owner: tuple[int, int]) -> None:
    assert find_owner(TREE, text, ConfigError) == owner


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nobody", "the image's /etc/passwd has no user 'nobody'"),
        ("none", "the image's /etc/passwd has no user 'none'"),
        ("broken", "the image's /etc/passwd has no user 'broken'"),
        ("app:nobody", "the image's /etc/group has no group 'nobody'"),
    ],
)
def test_a_name_that_is_not_there_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        find_owner(TREE, text, ConfigError)


def test_an_image_without_passwd_knows_numbers_alone() -> None:
    assert find_owner(Tree(), "1:2", ConfigError) == (1, 2)
    with pytest.raises(ConfigError, match="no user 'app'"):
        find_owner(Tree(), "app", ConfigError)


def test_passwd_may_be_a_link_and_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(PASSWD)
    tree = Tree.of((symlink("etc/passwd", "../usr/etc/passwd"), file("usr/etc/passwd", path)))
    assert find_owner(tree, "app", ConfigError) == (1001, 1002)
