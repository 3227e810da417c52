"""`invoke smoke`: prove the images that the registry has by running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from buildkit.errors import EnvironmentMissingError, FetchError, UsageError
from buildkit.http import Answer, HttpPool
from buildkit.pipeline.local import find_registry
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options
from buildkit.plan.variants import chosen_variants, image_variants
from buildkit.reference import Reference
from buildkit.smoke import Ask, SmokeRun

_ANSWER_LIMIT = 8 * 1024 * 1024


def run_smoke(options: Options) -> None:
    """Run the ``[smoke]`` table of targets.toml on the images at the hub.

    Raises:
        UsageError: there is no such table.
        EnvironmentMissingError: an image is not at the hub, or no Docker daemon answers.
        VerificationError: something did not behave as the table says.
    """
    shop = Workshop.open(options)
    makers = Makers(shop)
    smoke = shop.project.config.smoke
    if not smoke.containers:
        raise UsageError(
            f"{shop.project.targets.name} has no [smoke] table",
            resolution="Describe containers and steps there; `invoke schema` says how.",
        )
    find_registry(shop, makers)
    proven: list[str] = []

    def note(text: str) -> None:
        proven.append(text)
        shop.reporter.note(text)

    SmokeRun(
        smoke=smoke,
        images=_references(shop, makers),
        root=shop.project.root,
        logs=shop.settings.out / "smoke",
        client=makers.docker(),
        ask=_ask(makers.pool),
        note=note,
    ).run()
    if options.json:
        print_json({"proven": proven})


def _references(shop: Workshop, makers: Makers) -> dict[str, str]:
    """Return each image of the table by digest, as the registry has it now."""
    settings = shop.settings
    place = (*settings.pushed, *settings.destinations)[0]
    found = {}
    for image in {container.image for container in shop.project.config.smoke.containers.values()}:
        found[image] = str(_pinned(makers, place.references(image, _tag(shop, image))[0]))
    return found


def _tag(shop: Workshop, image: str) -> Callable[[str], str]:
    config = shop.project.config
    found = chosen_variants(config, config.images[image], shop.settings.variants)
    return (found or image_variants(config, config.images[image]))[0].tag


def _pinned(makers: Makers, tagged: Reference) -> Reference:
    descriptor = makers.registry.head_manifest(tagged)
    if descriptor is None:
        raise EnvironmentMissingError(
            f"{tagged} is not in the registry", resolution="Run `invoke docker` first."
        )
    return tagged.with_digest(descriptor.digest)


def _ask(pool: HttpPool) -> Ask:
    """Return a GET without retries: the steps wait by themselves."""

    def ask(url: str, headers: Mapping[str, str]) -> Answer | None:
        try:
            return pool.read("GET", url, headers=headers, retries=0, limit=_ANSWER_LIMIT)
        except FetchError:
            return None

    return ask
