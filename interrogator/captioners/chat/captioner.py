"""Captions by chat models: an image and a question in, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Unpack

import torch
from PIL import Image

from ...batches import in_batches
from ...errors import CaptionError, RequestError
from ...images import shrunk
from ...models import Ability, Answer, Located
from ...module_views import view_of
from ...progress import Progress, watched
from ...registry import LoadOptions, load_as
from ...threads import Lock
from ..abilities import abilities_for, require
from ..named_prompts import NAMED_PROMPTS, questions
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sample_keys import content_key
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions, greedy, one_sample
from .answer_text import AnswerText, looped, unlooped
from .checkpoint import load_chat
from .families import family_of
from .inputs import Inputs, Pixels, prepare
from .token_rules import Row, StepWatch, TokenRules
from .vision_groups import read_in_groups
from .wording import Wording
from .writing import Written, end_tokens, on_device, write

_WORKING_BYTES = 4_000_000_000  # eight images of 1 MP and 256 tokens about each, 4B parameters, 16 bit

_AGAIN = 1.1  # repetition penalty of the second try, as users of these models set it against loops

_REFUSED = (ValueError, TypeError, IndexError, ZeroDivisionError)
"""What the processors of transformers raise for an image that they cannot take, such as one of 1 x 1000 pixels."""


@dataclass(frozen=True)
class _Some:
    """Images, what stands in front of the answer about each, and where samples are drawn what their numbers hang on."""

    pixels: list[Pixels]
    texts: list[str]
    rows: list[Row]


class ChatCaptioner:
    """Writes captions with whatever transformers loads as `AutoModelForImageTextToText`; for several threads.

    Attributes:
        module: the model of transformers; it may be moved between devices between calls.
        processor: its processor; used by one thread at a time.
        prompts: named prompts that it knows.
    """

    family = "chat"
    prompts: Mapping[str, str] = NAMED_PROMPTS

    def __init__(self, model: Any, processor: Any, name: str = "chat", *, origin: Located | None = None) -> None:
        """Wrap a loaded model and its processor (see `checkpoint.load_chat`), in the model's dtype and on its device.

        Raises ModelLoadError: the chat template does not put in the image.
        """
        self.module: torch.nn.Module = model.eval()
        self.processor = processor
        self.name = name if origin is None else origin.name
        self.origin = origin or Located("captioner", name, self.family)
        self._kind = family_of(model.config)
        self._wording = Wording(processor, self._kind, self.name)
        self._inputs = Inputs(model, processor, self._kind, self._wording, self.name)
        self._ends = end_tokens(model, processor.tokenizer, self._kind.writer)
        self._tokenizing = Lock()

    @classmethod
    def load(cls, name: str | PathLike[str], **options: Unpack[LoadOptions]) -> ChatCaptioner:
        """Load a captioner by hub id or folder; options and errors as of `registry.load_model`."""
        return load_as(cls, "captioner", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> ChatCaptioner:
        """Build a located model. Raises ModelLoadError: its files are damaged, lack a tensor, or cannot be loaded."""
        assert located.folder is not None
        model, processor = load_chat(located.folder, device, dtype)
        return cls(model, processor, located.name, origin=located)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and of the computation; a few small parts of some families stay in float32."""
        return self._weight.dtype

    @property
    def working_bytes(self) -> int:
        """A generous estimate of the memory of one call, without the weights."""
        return _WORKING_BYTES

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do beside the likeliest caption; which of it depends on the family and the chat template."""
        found: set[Ability] = {"beams", "sampling", "forbidden words"}
        if self._kind.prefix and not self._inputs.by_encoder:
            found.add("prefix")
        if self._kind.asked:
            found.add("prompt")
        if self._wording.knows_system:
            found.add("system prompt")
        return frozenset(found)

    def prepare(self, image: Image.Image) -> Pixels:
        """An image as RGB, uint8 [H, W, 3], of two megapixels at most. Raises ImageReadError."""
        return prepare(image)

    def check(self, options: CaptionOptions) -> None:
        """Raises RequestError: the model cannot do what the options ask for, or the question needs what they lack."""
        require(self, abilities_for(options))
        self._texts(replace(options, tags=("",)), 1)

    def caption(
        self, prepared: Sequence[Pixels], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        """One caption for each prepared image, in order; see `answer`. Raises CaptionError: an image has none."""
        answers = self.answer(prepared, options, progress)
        for number, answer in enumerate(answers, start=1):
            if answer.error:
                raise CaptionError(f"image {number} of {len(answers)}: {answer.error}")
        return [answer.text for answer in answers]

    def answer(
        self, prepared: Sequence[Pixels], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[Answer]:
        """An answer about each prepared image, in order, as a caption of one line.

        Nothing is sampled unless `options.temperature` is above 0. An answer that repeats itself is stopped and tried
        once more with a repetition penalty.

        progress(done, total) counts images; it is called several times a second in the caller's thread, even inside
        the model, and may raise to cancel. If memory runs out, it continues with half as many images at a time.

        Raises:
            RequestError: as `check`; or question and answer exceed what the model can read and write.
            ModelError: the prompt does not hold each image once.
        """
        self.check(options)
        options = options.with_length(self._kind.max_new_tokens)
        texts = self._texts(options, len(prepared))
        reader = AnswerText(self.processor.tokenizer, options, self._tokenizing)
        rules = one_sample(options) if options.temperature else greedy(options)
        again = replace(rules, repetition_penalty=rules.repetition_penalty * _AGAIN)
        rows = [Row(content_key(pixels)) for pixels in prepared] if options.temperature else []
        order = sorted(range(len(prepared)), key=lambda index: -prepared[index].shape[0] * prepared[index].shape[1])
        answers: dict[int, Answer] = {}

        def ask(start: int, stop: int) -> None:
            model, report = self._view(progress)
            report(start, len(prepared))
            batch = order[start:stop]

            def written(these: Sequence[int], rules: SamplingOptions) -> dict[int, Written | str]:
                own = [rows[i] for i in these] if rows else []
                some = _Some([prepared[i] for i in these], [texts[i] for i in these], own)
                return dict(zip(these, self._write(model, some, rules, options), strict=True))

            found = written(batch, rules)
            loops = [index for index in batch if looped(found[index])]
            if loops:
                found |= {index: unlooped(one) for index, one in written(loops, again).items()}
            for index, one in found.items():
                thinks = self._wording.thinks(texts[index])
                answers[index] = reader.answer(one, index in loops, thinks)

        with torch.inference_mode():
            for _ in in_batches(len(prepared), options.batch_size, ask, self.device):
                pass
        if progress is not None and answers:
            progress(len(answers), len(answers))
        return [answers[index] for index in range(len(prepared))]

    def sample(
        self,
        prepared: Sequence[Pixels],
        keys: Sequence[str],
        options: SamplingOptions = DEFAULT_SAMPLING,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """`options.count` answers about each prepared image, in order.

        keys: a name for each image, such as its path. Random numbers depend only on seed, key, number of the answer,
        position and token; see `BlipCaptioner.sample`, which draws by the same rules. progress as in `answer`.

        Raises RequestError, also for keys that are not one for each image, CaptionError and ModelError: as `caption`.
        """
        if len(keys) != len(prepared):
            raise RequestError(f"got {len(keys)} keys for {len(prepared)} images; give one for each")
        self.check(options.caption_options)
        require(self, abilities_for(options))
        options = options.with_length(self._kind.max_new_tokens)
        shared = options.caption_options
        texts = self._texts(shared, len(prepared))
        reader = AnswerText(self.processor.tokenizer, shared, self._tokenizing, options.forbidden)
        results: list[list[Sampled]] = [[] for _ in prepared]

        def draw(start: int, stop: int) -> None:
            model, report = self._view(progress)
            report(start // options.count, len(prepared))
            pairs = [divmod(number, options.count) for number in range(start, stop)]
            some = _Some(
                [prepared[image] for image, _ in pairs], [texts[image] for image, _ in pairs],
                [Row(keys[image], sample) for image, sample in pairs],
            )  # fmt: skip
            for (image, _), one in zip(pairs, self._write(model, some, options, shared, reader.forbids), strict=True):
                if isinstance(one, str):
                    raise CaptionError(f"image {image + 1} of {len(prepared)}: {one}")
                results[image].append(reader.sampled(one, self._wording.thinks(texts[image])))

        with torch.inference_mode():
            for _ in in_batches(len(prepared) * options.count, options.batch_size, draw, self.device):
                pass
        if progress is not None and results:
            progress(len(results), len(results))
        return results

    @property
    def _weight(self) -> torch.Tensor:
        module: Any = self.module
        weight: torch.Tensor = module.get_input_embeddings().weight
        return weight

    def _view(self, progress: Progress | None) -> tuple[Any, Progress]:
        """A view to compute with, which `generate` may change, and the callable to report through."""
        model, report = watched(self.module, progress)
        model = view_of(model) if model is self.module else model
        read_in_groups(model)
        return model, report

    def _texts(self, options: CaptionOptions, count: int) -> list[str]:
        """What stands in front of the answer about each image."""
        own = self._kind.system if self._wording.knows_system and self._wording.takes_texts else ""
        system = options.system.strip() or own
        asked = questions(options, count, self.prompts, self._kind.question)
        return [self._wording.text(question, system, options.prefix.strip()) for question in asked]

    def _write(
        self,
        model: Any,
        some: _Some,
        rules: SamplingOptions,
        options: CaptionOptions,
        forbids: Callable[[list[int], int], bool] | None = None,
    ) -> list[Written | str]:
        """For each image what the model wrote about it, or why it cannot read it."""
        if self._kind.pads:
            return self._write_batch(model, some, rules, options, forbids)
        found: dict[int, Written | str] = {}
        for text in dict.fromkeys(some.texts):
            these = [number for number, own in enumerate(some.texts) if own == text]
            rows = [some.rows[n] for n in these] if some.rows else []
            alike = _Some([some.pixels[n] for n in these], [text] * len(these), rows)
            found |= dict(zip(these, self._write_batch(model, alike, rules, options, forbids), strict=True))
        return [found[number] for number in range(len(some.texts))]

    def _write_batch(
        self,
        model: Any,
        some: _Some,
        rules: SamplingOptions,
        options: CaptionOptions,
        forbids: Callable[[list[int], int], bool] | None,
    ) -> list[Written | str]:
        """`_write` for texts that can be padded to one length."""
        images = [shrunk(Image.fromarray(pixels), options.max_pixels) for pixels in some.pixels]
        with self._tokenizing:
            batch, refused = self._tensors(images, some.texts)
        taken = [number for number in range(len(images)) if number not in refused]
        found: dict[int, Written | str] = dict(refused)
        if taken:
            assert rules.max_new_tokens is not None
            self._inputs.check_length(batch, rules.max_new_tokens)
            rows = [some.rows[number] for number in taken] if some.rows else []
            follow = TokenRules(rules, rows, self._ends, forbids)
            beams = 1 if rows else options.num_beams
            # Of beams none ends before all are compared, and samples are what was drawn.
            watch = StepWatch(stop_loops=beams == 1 and rules.count == 1)
            settings: dict[str, Any] = {"max_new_tokens": rules.max_new_tokens, "num_beams": beams}
            if beams > 1:
                settings["length_penalty"] = float(options.length_penalty)
            written = write(
                model, on_device(batch, self.device, self.dtype), follow, watch, self._kind.writer, **settings
            )
            found |= dict(zip(taken, written, strict=True))
        return [found[number] for number in range(len(images))]

    def _tensors(self, images: list[Image.Image], texts: list[str]) -> tuple[dict[str, torch.Tensor], dict[int, str]]:
        """The tensors of the images that the processor takes, and why it refuses the others."""
        try:
            return self._inputs.tensors(images, texts), {}
        except _REFUSED:
            refused = {}
            for number, (image, text) in enumerate(zip(images, texts, strict=True)):
                try:
                    self._inputs.tensors([image], [text])
                except _REFUSED as error:
                    size = f"{image.width} x {image.height}"
                    refused[number] = f"{self.name} cannot read an image of {size} pixels: {error}"
            if not refused:
                raise
        taken = [number for number in range(len(images)) if number not in refused]
        if not taken:
            return {}, refused
        return self._inputs.tensors([images[number] for number in taken], [texts[n] for n in taken]), refused
