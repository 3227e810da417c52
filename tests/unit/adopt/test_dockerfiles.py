from __future__ import annotations

from pathlib import Path

from buildkit.adopt.dockerfiles import (
    adopt_dockerfiles,
    compiling_line,
    copied_names,
    copied_paths,
    find_dockerfiles,
    open_arguments,
    own_arguments,
)
from buildkit.adopt.model import Image
from buildkit.images.dockerfile import parse

PREBUILT = "FROM scratch\nARG TARGETARCH\nCOPY linux/$TARGETARCH/agent /bin/\n"


def write(tree: Path, name: str, text: str = PREBUILT) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def test_dockerfiles_are_found_by_their_names(tmp_path: Path) -> None:
    names = ("Dockerfile", "docker/agent.Dockerfile", "docker/Dockerfile.web", "x/Dockerfile-debug")
    others = (
        "agent.Dockerfile.dockerignore",
        "x/Dockerfile.j2",
        "vendor/y/Dockerfile",
        ".c/Dockerfile",
    )
    for name in (*names, *others):
        write(tmp_path, name)
    assert sorted(find_dockerfiles(tmp_path)) == sorted(names)


def test_what_compiles_by_itself_is_told_and_not_adopted(tmp_path: Path) -> None:
    for text, line in (
        ("FROM golang:1.26 AS build\nRUN x\nFROM scratch\n", 1),
        ("FROM docker.io/library/golang@sha256:abc\n", 1),
        ("FROM debian\nRUN cd x && go build ./...\n", 2),
        ("FROM debian\nRUN make\n", 2),
        ("FROM debian\nRUN apt-get install makeup\n", 0),
    ):
        assert compiling_line(parse(text)) == line
    write(tmp_path, "Dockerfile", "FROM golang\nCOPY agent /\n")
    assert adopt_dockerfiles(tmp_path, ["agent"]).undecided == (
        "Dockerfile compiles by itself (line 1), so it is not adopted",
    )


def test_what_is_copied_has_its_arguments_put_in() -> None:
    text = (
        "ARG DIR=build\nFROM scratch\nARG TARGETPLATFORM\nARG OPEN\n"
        "COPY --from=x /a /b\nCOPY ./$DIR/$TARGETPLATFORM/agent $OPEN/web /bin/\n"
        "ADD https://example.com/x /x\nCOPY <<EOF /etc/x\ntext\nEOF\n"
    )
    assert list(copied_paths(parse(text))) == ["build/linux/amd64/agent", "<OPEN>/web"]


def test_an_argument_without_a_default_that_means_the_machine_is_put_in_too() -> None:
    text = "FROM scratch\nARG ARCH\nARG GOOS=plan9\nCOPY build/$GOOS-$ARCH/agent /bin/\n"
    assert list(copied_paths(parse(text))) == ["build/plan9-amd64/agent"]


def test_names_are_copied_that_are_not_in_the_tree(tmp_path: Path) -> None:
    write(tmp_path, "Dockerfile", "FROM scratch\nCOPY out/agent conf/a.json /\n")
    write(tmp_path, "conf/a.json", "{}")
    write(tmp_path, "x/Dockerfile", "FROM golang\nCOPY other /\n")
    write(tmp_path, "y/Dockerfile", "NONSENSE\n")
    assert list(copied_names(tmp_path)) == ["agent"]


def test_arguments_that_nobody_gives_are_filled_in_or_told(tmp_path: Path) -> None:
    head = "ARG ARCH\nARG VERSION=1\nARG TARGETARCH\n"
    write(tmp_path, "a.Dockerfile", f"{head}FROM x:$ARCH\nARG REV\nCOPY agent /\n")
    write(tmp_path, "b.Dockerfile", f"{head}ARG OTHER\nFROM x\nCOPY agent out/x /\n")
    images = adopt_dockerfiles(tmp_path, ["agent"]).images
    assert [bool(image.left_out) for image in images] == [False, True]
    assert open_arguments(tmp_path, images) == (
        {"ARCH": "${arch}"},
        ("a.Dockerfile has no default for ARG REV: what it needs belongs into [args]",),
    )


def test_an_image_has_the_files_of_the_tree_that_it_copies(tmp_path: Path) -> None:
    text = f"{PREBUILT}COPY conf/a.json b.txt /etc/\n"
    write(tmp_path, "docker/agent/Dockerfile", text)
    write(tmp_path, "conf/a.json", "{}")
    write(tmp_path, "docker/agent/b.txt", "")
    found = adopt_dockerfiles(tmp_path, ["agent"])
    files = {"conf/a.json": "conf/a.json", "b.txt": "docker/agent/b.txt"}
    assert found.images == (Image(name="agent", dockerfile="docker/agent/Dockerfile", files=files),)
    assert found.undecided == ()


def test_what_is_neither_there_nor_built_leaves_the_image_out(tmp_path: Path) -> None:
    write(tmp_path, "docker/web.Dockerfile", f"{PREBUILT}COPY out/page.html /\n")
    (image,) = adopt_dockerfiles(tmp_path, ["agent"]).images
    assert image.name == "web"
    assert image.left_out.endswith("out/page.html")


def test_dockerfiles_without_a_binary_and_second_ones_are_told(tmp_path: Path) -> None:
    write(tmp_path, "a/agent/Dockerfile")
    write(tmp_path, "b/agent/Dockerfile")
    write(tmp_path, "c/Dockerfile", "FROM scratch\nCOPY x /\n")
    write(tmp_path, "d/Dockerfile", "NONSENSE\n")
    found = adopt_dockerfiles(tmp_path, ["agent"])
    assert [image.dockerfile for image in found.images] == ["a/agent/Dockerfile"]
    second, without, broken = found.undecided
    assert second == "b/agent/Dockerfile is a second 'agent', so it is not adopted"
    assert without.startswith("c/Dockerfile copies no binary")
    assert broken.startswith("d/Dockerfile cannot be read")


def test_arguments_are_those_declared_with_their_first_default(tmp_path: Path) -> None:
    write(tmp_path, "a", "ARG X=1\nARG Y\nFROM $X\nARG X=2\nARG Z='q'\n")
    write(tmp_path, "b", "?")
    assert own_arguments(tmp_path, "a") == {"X": "1", "Y": "<Y>", "Z": "q"}
    assert own_arguments(tmp_path, "b") == own_arguments(tmp_path, "none") == {}
