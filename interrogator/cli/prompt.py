"""`interrogator prompt`: a prompt for each image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..captioners import DEFAULT_STRIP, CaptionOptions
from ..captioners.named_prompts import asks_for_tags
from ..catalog import preset as find_preset
from ..errors import RequestError
from ..modes import MODES, Mode
from ..needs import Needs
from ..pipeline import Interrogation, Interrogator
from ..pipeline.loader import NONE
from ..pipeline.prompt_builder import SearchOptions
from .answers import GROUP_SIZE, answer_images, prepare_table, row_prefix
from .choices import (
    captioner_name,
    check_caption_options,
    check_model_options,
    chosen_banks,
    search_options,
    stripped_words,
)
from .inputs import Input
from .interrogators import load_interrogator
from .tag_options import check_tag_options, tag_rules, tagger_name
from .terminal import Bar, put, put_json
from .text_options import chosen_model

if TYPE_CHECKING:
    from PIL import Image

    from ..image_models import ImageModel

# `best` takes so long for each image that none should wait for its neighbours.
_GROUP_SIZES = {Mode.BEST: 1}


def prompt(args: argparse.Namespace) -> int:
    """Write a prompt for each image: bare where the arguments name one picture, else a row of a table."""
    args.mode = args.mode or find_preset(args.preset).mode
    mode = Mode.of(args.mode)
    search = search_options(args)
    SearchOptions.of(mode, **search)  # what is wrong with an option shows before models load
    model = chosen_model(args, negative=mode is Mode.NEGATIVE)
    needs = _needs(args, mode, model)
    banks, caption_options, rules = chosen_banks(args), _caption_options(args), tag_rules(args)

    def load_models() -> Interrogator:
        names = {"captioner": captioner_name(args), "tagger": args.tagger, "encoder": args.encoder}
        models: dict[str, Any] = {role: name if role in needs else NONE for role, name in names.items()}
        ci = load_interrogator(
            args, **models, banks=banks, caption_options=caption_options, tag_rules=rules, references=args.references
        )  # fmt: skip
        ci.hold_evidence()
        if "encoder" in MODES[mode].needs:
            prepare_table(ci)
        return ci

    def interrogate(ci: Interrogator, images: Sequence[Image.Image], bar: Bar) -> list[Interrogation]:
        return ci.interrogate_many(images, args.mode, args.caption, progress=bar, **search)

    def write(source: Input, result: Interrogation) -> None:
        text = result.escaped_prompt if args.escape else result.prompt
        texts = _texts(args, model, result)
        if args.json:
            put_json({"image": source.name, **result.as_dict(), "prompt": text, **({"texts": texts} if model else {})})
        elif model:
            for encoder, each in texts.items():
                put(f"{row_prefix(args, source)}{encoder}\t{each}")
        else:
            put(row_prefix(args, source) + text)

    return answer_images(args, load_models, interrogate, write, _GROUP_SIZES.get(mode, GROUP_SIZE))


def _texts(args: argparse.Namespace, model: ImageModel | None, result: Interrogation) -> dict[str, str]:
    """The texts for the encoders of an image model, line breaks of a caption as spaces; none without a model."""
    if model is None:
        return {}
    texts = result.texts(model.name, weights=args.weights, quality_tags=args.quality_tags, escape=args.escape)
    return texts if args.json else {encoder: " ".join(text.split()) for encoder, text in texts.items()}


def _needs(args: argparse.Namespace, mode: Mode, model: ImageModel | None) -> Needs:
    """The roles whose models are loaded.

    Raises:
        RequestError: an option names a model that is not needed, or a tagger is and there is none.
    """
    needs = set(MODES[mode].needs)
    if mode is Mode.CAPTION and args.encoder:
        needs.add("encoder")  # gives the similarity of the caption
    if args.caption is not None:
        needs.discard("captioner")
    if "captioner" in needs and asks_for_tags(args.ask) or args.json and args.tagger:
        needs.add("tagger")
    reads_tags = model is not None and model.reads_tags
    if reads_tags and mode is not Mode.NEGATIVE and (args.tagger or find_preset(args.preset).tagger):
        needs.add("tagger")
    if args.tagger and "tagger" not in needs:
        raise RequestError(
            f"--tagger has no effect in mode {mode.value} without --json, which shows its tags, or --for pony or"
            " illustrious, which read them"
        )
    check_tag_options(args, needs)
    check_model_options(args, needs | ({"captioner"} & MODES[mode].needs))
    check_caption_options(args, "captioner" in needs)
    if "tagger" in needs:
        tagger_name(args, f"mode {mode.value}" if "tagger" in MODES[mode].needs else "this question")
    return frozenset(needs)


def _caption_options(args: argparse.Namespace) -> CaptionOptions:
    return CaptionOptions(
        max_new_tokens=args.max_caption_tokens,
        num_beams=args.caption_beams,
        repetition_penalty=args.repetition_penalty,
        no_repeat_ngram_size=args.no_repeat_ngram,
        prefix=args.caption_prefix,
        strip=(*DEFAULT_STRIP, *stripped_words(args)),
        ask=args.ask,
        system=args.system,
        trigger=args.trigger,
        max_pixels=args.max_pixels,
        temperature=args.temperature,
        top_p=args.top_p,
        seed=args.seed,
    )
