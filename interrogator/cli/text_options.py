"""--for: texts for the encoders of an image model, and what goes with it."""

from __future__ import annotations

import argparse

from ..errors import RequestError
from ..image_models import IMAGE_MODELS, ImageModel, TextOptions, image_model


def image_model_help() -> dict[str, str]:
    """What the texts for each image model are."""
    return {row.name: row.help for row in IMAGE_MODELS}


def add_options(parser: argparse.ArgumentParser, purpose: str) -> None:
    """--for, --weights and --quality-tags. purpose: what --for does."""
    group = parser.add_argument_group("texts for an image model")
    group.add_argument(
        "--for", dest="image_model", choices=tuple(image_model_help()), metavar="MODEL",
        help=f"{purpose}; listed below",
    )  # fmt: skip
    group.add_argument(
        "--weights",
        action="store_true",
        help="weight the surer phrases or tags: (word:1.2); image models of the SD kind",
    )
    group.add_argument(
        "--quality-tags", action="store_true", help=f"begin with the model's tags for quality; {_with_quality_tags()}"
    )


def chosen_model(args: argparse.Namespace, *, negative: bool) -> ImageModel | None:
    """The image model that --for names; None without it.

    Args:
        negative: whether the prompt is a negative one.

    Raises:
        RequestError: the image model does not read what the options ask for.
    """
    if args.image_model is None:
        for name in ("weights", "quality_tags"):
            if getattr(args, name):
                raise RequestError(f"--{name.replace('_', '-')} has no effect without --for")
        return None
    model = image_model(args.image_model)
    TextOptions(args.weights, args.quality_tags).check(model, negative=negative)
    return model


def _with_quality_tags() -> str:
    return ", ".join(row.name for row in IMAGE_MODELS if row.quality_tags)
