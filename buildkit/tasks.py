"""The door: Invoke tasks of a few lines, for this project and for any other.

Another project says ``from buildkit.tasks import namespace`` in its tasks.py
(with ``tasks.executor_class: buildkit.goals.GoalExecutor`` in invoke.yaml, so
that chained tasks are one graph), or runs the ``meshwright`` program.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Mapping
from typing import Any

from invoke.collection import Collection

from buildkit import __version__
from buildkit.flags import BuildTask, make_task
from buildkit.goals import GoalExecutor, Session
from buildkit.plan.options import Goal
from buildkit.program import MeshProgram

# A run makes many small objects that stay; looking for cycles at every 700th would take a run
# that finds nothing to do 3 % longer.
gc.set_threshold(50_000, *gc.get_threshold()[1:])
# At its end Python would look at each of them again, and the system takes back all memory anyway:
# 0.03 s.
atexit.register(gc.freeze)

_FLAGS: dict[str, tuple[Any, str]] = {
    "platform": (None, "linux/arm64,darwin/arm64, or host, native, all"),
    "only": (None, "binaries, images or units, separated by commas"),
    "targets": (None, "the configuration file (targets.toml)"),
    "source": (None, "the Go tree, instead of project.source"),
    "out": (None, "where binaries go, instead of out/ beside the configuration"),
    "version": (None, "the version to stamp"),
    "hub": (None, "where images go, such as localhost:5000; several by commas"),
    "tag": (None, "tags of the images, separated by commas"),
    "set": ([], "KEY=VALUE over the configuration, for this run; give it again for more"),
    "jobs": (None, "how much runs at once (number of cores)"),
    "envoy": ([], "a file or image with your own Envoy, by its machine type; again for more"),
    "debian_archive": (None, "the Debian archive for bases of that kind"),
    "engine": (None, "who builds images: auto, oci (no daemon), docker or buildx"),
    "variant": (None, "variants of images, such as debug,distroless, or all"),
    "push": (False, "push to a hub that is not loopback too"),
    "no_push": (False, "tag only, push nowhere"),
    "no_load": (False, "leave the Docker daemon without the images"),
    "no_clobber": (False, "never move a tag that exists to other content"),
    "new_tag": (None, "tags at the destination, instead of those of the source"),
    "as_is": (False, "leave layers uncompressed beyond loopback too"),
    "bare": (False, "copy images without what is attached to them: signatures, SBOMs"),
    "layout": (False, "write the images into out/oci too, an OCI image layout"),
    "save": (None, "write files to out/images/: oci-archive, docker-archive, or both"),
    "collect": (False, "remove what was not used for longest, down to the limit"),
    "max_size": (None, "the limit to collect to, such as 10GB (MESHWRIGHT_CACHE_SIZE, 20GB)"),
    "snapshot": (False, "a release to try: no tag, a tree that differs from its commit"),
    "dist": (None, "where a release is, instead of dist/ beside the configuration"),
    "to": (None, "names of [publish], separated by commas (all)"),
    "shard": (None, "a part of the release, as 2/4: every fourth platform, from the second on"),
    "shards": (None, "how many machines share a release (one for each platform)"),
    "runner": (None, "the label of those machines (ubuntu-24.04)"),
    "previous": (None, "the release before: its directory or release.json, to compare sizes with"),
    "rebuild": (False, "make the release once more, elsewhere, and compare every byte"),
    "stamp": (False, "let revision and time of the commit count as inputs, as CI does"),
    "symbols": (False, "no optimisation, symbols kept (DEBUG=1)"),
    "force": (False, "ignore records of earlier runs; init: write over a file that exists"),
    "offline": (False, "use what is cached, never the network"),
    "fail_fast": (False, "end the whole run at the first failure"),
    "dry_run": (False, "show the plan, change nothing"),
    "username": (None, "whom to log in as"),
    "password_stdin": (False, "read the password from standard input"),
    "key": (
        None,
        "who signs: a private key, its password in COSIGN_PASSWORD; to verify the public one",
    ),
    "sign": (False, "sign the release with the key of release.sign, or --key"),
    "expect_source": (None, "the address of the source that a provenance has to name"),
    "expect_builder": (None, "the address of the builder that a provenance has to name"),
    "insecure": (None, "registries beyond loopback that speak plain http, separated by commas"),
    "legacy_tags": (False, "write cosign's sha256-....sig and .att tags too"),
    "json": (False, "print one JSON document to standard output"),
    "quiet": (False, "print errors and warnings only"),
    "exec": (
        None,
        "watch: a command to run after each success, with IMAGE_<NAME> in its environment",
    ),
}
_PLACE = ("targets", "source", "set", "out", "json", "quiet")
_PROMOTE = ("new_tag", "as_is", "bare")
_LOGIN = ("username", "password_stdin")
_CACHE = ("collect", "max_size")
_RELEASE = ("snapshot", "dist", "to", "rebuild", "shard", "shards", "runner", "previous")
_SIGN = ("key", "legacy_tags")
_EXPECTED = ("expect_source", "expect_builder", "insecure")
_OWN = frozenset({*_PROMOTE, *_LOGIN, *_CACHE, *_RELEASE, *_SIGN, *_EXPECTED, "sign"})
_ALL = tuple(name for name in _FLAGS if name not in _OWN)


def mesh_task(
    *flags: str, name: str | None = None, words: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], BuildTask]:
    """Make a task of a function of the session, with some of the common flags."""

    def wrap(body: Callable[..., None]) -> BuildTask:
        chosen = {flag: _FLAGS[flag] for flag in flags}
        return make_task(body, chosen, name=name, words=words or {})

    return wrap


@mesh_task(*_ALL)
def build(session: Session) -> None:
    """Compile the binaries and fetch Envoy into out/<os>_<arch>/."""
    session.want(Goal.BUILD)


@mesh_task(*_ALL)
def docker(session: Session) -> None:
    """Build, tag and push the images, with whatever they need."""
    session.want(Goal.DOCKER)


@mesh_task(*_ALL)
def package(session: Session) -> None:
    """Make the .deb and .rpm packages, with whatever they need."""
    session.want(Goal.PACKAGE)


@mesh_task(*_ALL)
def envoy(session: Session) -> None:
    """Fetch the prebuilt binaries alone."""
    session.want(Goal.ENVOY)


@mesh_task(*_ALL, "snapshot", "dist", "shard", "previous", "sign", *_SIGN)
def release(session: Session) -> None:
    """Make all of a version: archives, packages, images, documents, in dist/."""
    from buildkit.pipeline.releasing import run_release

    session.act(run_release)


@mesh_task(
    *_PLACE,
    "dist",
    "force",
    "previous",
    "sign",
    *_SIGN,
    words={"parts": "the directories that `release --shard` wrote, separated by commas"},
)
def merge(session: Session, parts: str) -> None:
    """Join the parts of a release into the one that a single machine would have made."""
    from buildkit.pipeline.merging import run_merge

    session.act(lambda options: run_merge(options, parts))


@mesh_task(*_PLACE, "dist", "to", "dry_run", "offline")
def publish(session: Session) -> None:
    """Move a release that exists to the places of [publish]; goes on where a run broke."""
    from buildkit.pipeline.publishing import run_publish

    session.act(run_publish)


@mesh_task(
    *_PLACE,
    "dist",
    "rebuild",
    "offline",
    "key",
    *_EXPECTED,
    words={"subject": "a release's directory, a file in it, or an image with tag or digest"},
)
def verify(session: Session, subject: str) -> None:
    """Check a release, one of its files, or an image; prints what was compared."""
    from buildkit.pipeline.verifying import run_verify

    session.act(lambda options: run_verify(options, subject))


@mesh_task(*_ALL)
def plan(session: Session) -> None:
    """Show what would run and why; alone, for build and docker together."""
    from buildkit.pipeline.run import show_plan

    session.view(show_plan)


@mesh_task(
    *(name for name in _ALL if name != "only"),
    words={"unit": "pilot-agent@linux/arm64, push/pilot or another pattern of --only"},
)
def explain(session: Session, unit: str) -> None:
    """Show the whole reason of a unit's verdict: inputs, changes, command, output."""
    from buildkit.pipeline.explaining import show_explanation

    session.act(lambda options: show_explanation(options, unit))


@mesh_task(*_ALL)
def graph(session: Session) -> None:
    """Print the graph of what would run as a Mermaid flowchart."""
    from buildkit.pipeline.explaining import show_graph

    session.view(show_graph)


@mesh_task(*_ALL)
def watch(session: Session) -> None:
    """Make it again whenever a file is saved; alone, build and docker together."""
    from buildkit.pipeline.watching import watch as watch_sources

    session.repeat(watch_sources)


@mesh_task("source", "targets", "force", "dry_run", "json", "quiet")
def init(session: Session) -> None:
    """Read a Go tree and write a targets.toml for it."""
    from buildkit.pipeline.adopting import adopt_project

    # It knows by itself what a dry run is.
    session.act(adopt_project)


@mesh_task(*_PLACE)
def check(session: Session) -> None:
    """Check targets.toml, its lock and the image templates; start nothing."""
    from buildkit.pipeline.check import check_project

    session.act(check_project)


@mesh_task(*_ALL)
def doctor(session: Session) -> None:
    """Check this machine for the tasks that stand before it; alone, for build and docker."""
    from buildkit.pipeline.doctoring import show_health

    session.show(show_health)


@mesh_task(*_PLACE, "platform", "only", "debian_archive", "offline")
def lock(session: Session) -> None:
    """Resolve what comes from outside and pin it in targets.lock."""
    from buildkit.pipeline.locking import write_lock

    session.act(write_lock, would="resolve what comes from outside and write the lock")


@mesh_task(*_ALL)
def smoke(session: Session) -> None:
    """Run the images from the registry and send requests through them."""
    from buildkit.pipeline.smoking import run_smoke

    session.act(run_smoke, would="run the images from the registry")


@mesh_task(
    *_PLACE,
    *_PROMOTE,
    "only",
    "variant",
    "tag",
    "no_clobber",
    "dry_run",
    words={
        "src": "an image (localhost:5000/pilot:latest), or a hub or image layout with all of them",
        "dst": "hubs, or a reference for one image; several by commas",
    },
)
def promote(session: Session, src: str, dst: str) -> None:
    """Copy images by digest from SRC to DST, another registry; nothing is built anew."""
    from buildkit.pipeline.promoting import run_promote

    session.act(lambda options: run_promote(options, src, dst))


@mesh_task(*(name for name in _ALL if name != "exec"), *_SIGN)
def attest(session: Session) -> None:
    """Write SBOMs and provenance of everything; with --key, sign and attach them to the images."""
    from buildkit.pipeline.attesting import run_attest

    session.act(run_attest, would="write SBOMs and provenance, sign and attach them")


@mesh_task(*_PLACE, "platform", "shards", "runner", name="matrix")
def ci_matrix(session: Session) -> None:
    """Print how machines share a release, as a GitHub matrix with cache keys of the plan."""
    from buildkit.pipeline.matrix import show_matrix

    session.act(show_matrix)


@mesh_task("key", "dry_run", "json", "quiet", name="generate")
def keys_generate(session: Session) -> None:
    """Write a key pair for signing: cosign.key and cosign.pub, or what --key names."""
    from buildkit.pipeline.keying import generate_keys

    session.act(generate_keys, would="write a key pair")


@mesh_task(*_PLACE)
def clean(session: Session) -> None:
    """Remove out/; what is cached for the user stays."""
    from buildkit.pipeline.check import clean_out

    session.act(clean_out, would="remove out/")


@mesh_task(*_CACHE, "dry_run", "json", "quiet")
def cache(session: Session) -> None:
    """Show the user's cache, and collect it."""
    from buildkit.pipeline.caching import show_cache

    session.act(show_cache)


@mesh_task(*_PLACE)
def config(session: Session) -> None:
    """Print the configuration in force, each value with the file and line that gave it."""
    from buildkit.pipeline.showing import show_config

    session.act(show_config)


@mesh_task()
def schema(session: Session) -> None:
    """Print the JSON Schema of targets.toml."""
    from buildkit.pipeline.check import print_schema

    session.act(print_schema)


@mesh_task(*_PLACE, "hub", name="start")
def registry_start(session: Session) -> None:
    """Start the local registry, if none answers at the hub."""
    from buildkit.pipeline.local import start_registry

    session.act(start_registry, would="start a registry where none answers")


@mesh_task(*_PLACE, name="stop")
def registry_stop(session: Session) -> None:
    """Stop the local registry that this tool started; its data stays."""
    from buildkit.pipeline.local import stop_registry

    session.act(stop_registry, would="stop the registry that this tool started")


@mesh_task(*_PLACE, "hub", name="status")
def registry_status(session: Session) -> None:
    """Say what answers at the hub and what it holds."""
    from buildkit.pipeline.local import show_registry

    session.act(show_registry)


_HOST = {"host": "the registry, such as ghcr.io or localhost:5000"}


@mesh_task(*_LOGIN, *_PLACE, name="login", words=_HOST)
def registry_login(session: Session, host: str) -> None:
    """Try a login at a registry and keep it where Docker would."""
    from buildkit.pipeline.login import log_in

    session.act(lambda options: log_in(options, host), would="keep a login")


@mesh_task(*_PLACE, name="logout", words=_HOST)
def registry_logout(session: Session, host: str) -> None:
    """Forget the login of a registry."""
    from buildkit.pipeline.login import log_out

    session.act(lambda options: log_out(options, host), would="forget a login")


def make_namespace() -> Collection:
    """Return a fresh collection of all tasks that any project can use."""
    shown = (plan, explain, graph, check, config, doctor, schema)
    makers = (build, docker, package, envoy, watch, release, merge, publish, verify)
    tasks = (*makers, init, lock, smoke, promote, attest, clean, cache, *shown)
    local = (registry_start, registry_stop, registry_status)
    registry = Collection("registry", *local, registry_login, registry_logout)
    others = (Collection("keys", keys_generate), Collection("ci", ci_matrix))
    return Collection(*tasks, registry, *others)


namespace = make_namespace()


def main() -> None:
    """Run the ``meshwright`` program: the same tasks without a tasks.py."""
    program = MeshProgram(
        name="meshwright",
        namespace=make_namespace(),
        version=__version__,
        executor_class=GoalExecutor,
    )
    program.run()
