"""The Go builder and its records against the real toolchain, on a module of a few lines."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.errors import BuildError, EnvironmentMissingError
from buildkit.execute.outcomes import Status
from buildkit.machine import read_machine
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import Artifact, Verdict
from buildkit.platform import Platform
from buildkit.proc import OutOfMemoryError
from tests.fakes.units import running
from tests.integration.go_module import APP, FILES, HOST, GoModule, action_of

pytestmark = pytest.mark.go


@pytest.fixture
def shop(tmp_path: Path) -> GoModule:
    return GoModule(tmp_path.resolve())


def output_of(artifact: Artifact) -> str:
    assert artifact.path is not None
    return subprocess.run([artifact.path], check=True, capture_output=True, text=True).stdout


def test_two_groups_differ_by_tag_and_carry_their_stamps(shop: GoModule) -> None:
    stamps = (("main.version", "1 'quoted'"),)
    volatile = (("main.note", "at ${git.revision}"),)
    full = shop.unit("app", "./cmd/app", stamps=stamps, volatile_stamps=volatile)
    agent = shop.unit("agent", "./cmd/app", group="agent", tags=("agent",))
    (made,) = shop.build(full, volatile={"git.revision": "abc"})
    assert output_of(made) == "1 'quoted'|at abc|a page|dep|full"
    (made,) = shop.build(agent)
    assert output_of(made) == "none|none|a page|dep|agent"
    assert made.path == shop.out / HOST.slug / "agent"


def test_a_version_that_the_program_does_not_hold_is_recorded_with_it(shop: GoModule) -> None:
    names = ("main.version", "main.nowhere", "example.com/tiny/inner.version", "example.com/x.v")
    stamps = tuple((name, "7.8.9") for name in names)
    held = shop.unit("app", "./cmd/app", stamps=stamps, version_stamps=names)
    (good,) = shop.build(held)
    assert good.problem == ""
    lacking = shop.unit(
        "other", "./cmd/app", stamps=(("main.nowhere", "7.8.9"),), version_stamps=names
    )
    time.sleep(0.06)
    for status in (Status.DONE, Status.CACHED, Status.RESTORED):
        (found,) = shop.run(lacking)
        assert found.artifact is not None
        assert found.artifact.path is not None
        assert found.status is status
        assert found.artifact.problem.startswith("lacks '7.8.9' in main.nowhere: there is no")
        if status is Status.CACHED:
            found.artifact.path.unlink()


def test_a_version_inside_a_longer_or_volatile_stamp_is_looked_for_whole(shop: GoModule) -> None:
    volatile = (("main.note", "v7.8.9-${git.revision}"),)
    unit = shop.unit("app", "./cmd/app", volatile_stamps=volatile, version_stamps=("main.note",))
    (made,) = shop.build(unit, volatile={"git.revision": "abc"})
    assert made.problem == ""
    assert "|v7.8.9-abc|" in output_of(made)


def test_one_batch_makes_all_its_binaries_whatever_they_are_called(shop: GoModule) -> None:
    units = (
        shop.unit("app", "./cmd/app"),
        shop.unit("pages", "./cmd/site"),
        shop.unit("again", "./cmd/app/"),
        shop.unit("root", "."),
        shop.unit("imported", "example.com/tiny/cmd/site"),
    )
    made = shop.build(*units)
    assert [str(artifact.path) for artifact in made] == [
        str(action_of(unit).output) for unit in units
    ]
    assert made[0].digest == made[2].digest
    assert made[1].digest == made[4].digest
    for unit in units:
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), unit.id
    assert list((shop.out / "tmp").iterdir()) == []


def test_another_platform_gets_its_own_machine_type_without_cgo(shop: GoModule) -> None:
    platform = Platform("linux", "arm64")
    (made,) = shop.build(shop.unit("app", "./cmd/app", platform))
    assert made.path is not None
    assert all(machine.fits(platform) for machine in read_machine(made.path))


def test_the_same_sources_give_the_same_bytes_in_another_place(tmp_path: Path) -> None:
    shops = [GoModule((tmp_path / name).resolve()) for name in ("one", "two")]
    one, two = (shop.build(shop.unit("app", "./cmd/app"))[0] for shop in shops)
    assert one.digest == two.digest


EDITS = {
    "cmd/app/main.go": (APP + "\nvar more = 1\n", "cmd/app/main.go changed"),
    "cmd/app/page.txt": ("another page", "cmd/app/page.txt changed"),
    "cmd/app/new.go": ("package main\n", "cmd/app/new.go is new"),
    "inner/mode.go": (
        '//go:build !agent\n\npackage inner\n\nconst Mode = "x"\n',
        "src/inner/mode.go changed",
    ),
    "go.mod": (FILES["go.mod"] + "\n// changed\n", "src/go.mod changed"),
    "go.sum": ("\n", "src/go.sum changed"),
    "../dep/dep.go": ('package dep\n\nconst Word = "x"\n', "dep/dep.go changed"),
    "../go.work": ("go 1.24\n\nuse ./src\n", "the workspace changed from '' to '../go.work'"),
}


def test_an_edit_of_what_the_binary_is_made_from_rebuilds_it_until_it_is_undone(
    shop: GoModule,
) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    for name, (text, reason) in EDITS.items():
        path = shop.source / name
        before = path.read_text() if path.exists() else None
        shop.write(name, text)
        verdict, found = shop.verdict(unit)
        assert verdict is Verdict.RUN, name
        assert found.endswith(reason)
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), name


def test_an_edit_of_anything_else_does_not_rebuild(shop: GoModule) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    for name in ("cmd/app/main_test.go", "cmd/app/README.md", "cmd/site/main.go", "other/x.go"):
        shop.write(name, "package other\n")
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), name


def test_a_file_that_build_constraints_exclude_does_not_count_until_they_change(
    shop: GoModule,
) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    before = FILES["inner/agent.go"]
    shop.write("inner/agent.go", before.replace('"agent"', '"other"'))
    assert shop.verdict(unit) == (Verdict.CACHED, "up to date")
    shop.write("inner/agent.go", before.replace("build agent", "build !agent"))
    assert shop.verdict(unit) == (Verdict.RUN, "src/inner/agent.go changed")


def test_a_removed_and_a_renamed_file_rebuild(shop: GoModule) -> None:
    shop.write("cmd/app/extra.go", "package main\n")
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    (shop.source / "cmd/app/extra.go").rename(shop.source / "cmd/app/more.go")
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/app/more.go is new")
    (shop.source / "cmd/app/more.go").unlink()
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/app/extra.go was removed")


def test_a_new_file_that_an_embed_pattern_matches_rebuilds(shop: GoModule) -> None:
    unit = shop.unit("site", "./cmd/site")
    shop.build(unit)
    shop.write("cmd/site/below/other.html", "not matched")
    assert shop.verdict(unit)[0] is Verdict.CACHED
    shop.write("cmd/site/two.html", "2")
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/site/two.html is new")


def test_a_vendored_file_counts(shop: GoModule) -> None:
    subprocess.run([shop.go, "mod", "vendor"], cwd=shop.source, check=True, capture_output=True)
    unit = shop.unit("app", "./cmd/app")
    (made,) = shop.build(unit)
    assert "|dep|" in output_of(made)
    shop.write("vendor/example.com/dep/dep.go", 'package dep\n\nconst Word = "vendored"\n')
    assert shop.verdict(unit) == (Verdict.RUN, "example.com/dep/dep.go changed")
    (made,) = shop.build(unit)
    assert "|vendored|" in output_of(made)


def test_a_compile_error_is_told_once_and_leaves_the_old_output(shop: GoModule) -> None:
    unit, other = shop.unit("app", "./cmd/app"), shop.unit("pages", "./cmd/site")
    (made, _) = shop.build(unit, other)
    shop.write("cmd/app/main.go", "package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BuildError) as caught:
        shop.build(unit, other)
    assert caught.value.brief == f"app for {HOST} did not compile"
    assert caught.value.details.count("undefined: undefined") == 1
    assert made.path is not None
    assert output_of(made).endswith("|full")
    assert shop.verdict(unit)[0] is Verdict.RUN
    assert shop.verdict(other) == (Verdict.CACHED, "up to date")
    assert list((shop.out / "tmp").iterdir()) == []


def killing(go: str, root: Path, condition: str) -> str:
    """Return a go that ends by SIGKILL, as the kernel does it, where a shell's condition holds."""
    program = root / "killing-go"
    program.write_text(f'#!/bin/sh\nif {condition}; then kill -KILL $$; fi\nexec "{go}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_a_compile_that_the_kernel_killed_is_made_again_one_action_at_a_time(
    shop: GoModule,
) -> None:
    shop.go = killing(shop.go, shop.root, '[ "$1" = build ] && [ "$3" != -p=1 ]')
    time.sleep(0.06)
    (outcome,) = shop.run(shop.unit("app", "./cmd/app"))
    assert (outcome.status, outcome.error) == (Status.DONE, None)
    record = shop.planner().book.get(outcome.unit.id)
    assert record is not None
    assert record.peak_memory > 0
    log = shop.out / HOST.slug / "logs" / "compile-default.log"
    assert " -p=1 " in log.read_text()


def test_a_compile_that_is_killed_again_says_so_and_leaves_nothing(shop: GoModule) -> None:
    shop.go = killing(shop.go, shop.root, '[ "$1" = build ]')
    (outcome,) = shop.run(shop.unit("app", "./cmd/app"))
    assert isinstance(outcome.error, OutOfMemoryError)
    brief = f"app for {HOST}: a process was killed, most likely for lack of memory"
    assert outcome.error.brief == brief
    assert " MB expected, " in outcome.error.details
    assert list((shop.out / "tmp").iterdir()) == []


def test_a_compile_that_met_a_full_disk_is_no_error_of_the_source(shop: GoModule) -> None:
    program = shop.root / "full-go"
    words = "compile: writing output: write $WORK/b001/_pkg_.a: no space left on device"
    program.write_text(
        f"#!/bin/sh\nif [ \"$1\" = build ]; then echo '# x\n{words}' >&2; exit 1; fi\n"
        f'exec "{shop.go}" "$@"\n'
    )
    program.chmod(0o755)
    shop.go = str(program)
    (outcome,) = shop.run(shop.unit("app", "./cmd/app"))
    assert isinstance(outcome.error, EnvironmentMissingError)
    assert outcome.error.exit_code == 4
    assert outcome.error.brief == f"app for {HOST}: there is no space left on a disk"
    assert words in outcome.error.details
    assert outcome.error.resolution.startswith("Free some")
    assert list((shop.out / "tmp").iterdir()) == []


def test_what_was_edited_while_it_compiled_is_not_recorded(shop: GoModule) -> None:
    unit = shop.unit("app", "./cmd/app")
    builder = shop.builder(Hasher({}), {})
    runner = builder.runner

    class Editing:
        def run(self, argv: list[str], **rest: Any) -> object:
            done = runner.run(argv, **rest)
            if argv[1] == "build":
                shop.write("inner/mode.go", FILES["inner/mode.go"] + "\n")
            return done

    time.sleep(0.06)
    editing = replace(builder, runner=Editing())
    (made,) = editing.build((running(unit),), {}, lambda _: None)
    assert made.sources is None


def test_a_module_that_gives_no_package_counts_since_it_chooses_versions(shop: GoModule) -> None:
    for number in "01":
        shop.write(f"../lib{number}/go.mod", "module example.com/lib\n\ngo 1.24\n")
        shop.write(f"../lib{number}/lib.go", f'package lib\n\nconst Word = "v1.{number}.0"\n')
    module = FILES["go.mod"].replace("v0.0.0", "v0.0.0\n\nrequire example.com/lib v1.0.0")
    replaced = (f"replace example.com/lib v1.{n}.0 => ../lib{n}\n" for n in "01")
    shop.write("go.mod", module + "\n" + "\n".join(replaced))
    other = "module example.com/other\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n"
    shop.write("../other/go.mod", other)
    shop.write("../go.work", "go 1.24\n\nuse (\n\t./src\n\t./other\n)\n")
    shop.write(
        "cmd/app/main.go", APP.replace("tiny/inner", "lib").replace("inner.Mode", "lib.Word")
    )
    time.sleep(0.06)
    unit = shop.unit("app", "./cmd/app")
    (made,) = shop.run(unit)
    assert made.artifact is not None
    assert output_of(made.artifact).endswith("|v1.0.0")
    assert shop.verdict(unit) == (Verdict.CACHED, "up to date")
    shop.write("../other/go.mod", other.replace("v1.0.0", "v1.1.0"))
    verdict, reason = shop.verdict(unit)
    assert (verdict, reason.rpartition("/other/")[2]) == (Verdict.RUN, "go.mod changed")
    time.sleep(0.06)
    (made,) = shop.run(unit)
    assert made.artifact is not None
    assert output_of(made.artifact).endswith("|v1.1.0")


def test_a_module_that_begins_above_or_beside_a_package_counts(shop: GoModule) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    for name in ("inner/go.mod", "cmd/go.mod"):
        shop.write(name, "module example.com/inside\n")
        verdict, reason = shop.verdict(unit)
        assert (verdict, reason.split()[0].endswith(f"/{name}")) == (Verdict.RUN, True)
        (shop.source / name).unlink()
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date")


def test_a_source_from_the_future_is_recorded(shop: GoModule) -> None:
    future = time.time() + 1e6
    for name in ("cmd/app/main.go", "inner"):
        os.utime(shop.source / name, (future, future))
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    assert shop.verdict(unit) == (Verdict.CACHED, "up to date")
