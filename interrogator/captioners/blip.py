"""Captions by BLIP (arXiv 2201.12086): a vision transformer reads the image, a text decoder writes about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from .. import hub
from ..devices import choose_device, choose_dtype
from ..errors import RequestError
from ..images import to_rgb
from .loading import BLIP_FILES, load_blip
from .options import DEFAULT_OPTIONS, CaptionOptions, Progress
from .strip import strip_words

_TELL_SECONDS = 0.1  # progress is called no more often than this in the middle of a batch


class BlipCaptioner:
    """Writes captions with a BLIP captioning model of transformers, base or large.

    Attributes:
        module: the model, `transformers.BlipForConditionalGeneration`; it may be moved between devices at any time.
        processor: `transformers.BlipProcessor`: image processor and tokenizer.
        name: hub id, folder, or whatever it was called.
    """

    def __init__(self, model: Any, processor: Any, name: str = "blip") -> None:
        """Wrap a loaded model and its processor, in that model's dtype and wherever it is."""
        self.module: torch.nn.Module = model.eval()
        self.processor = processor
        self.name = name

    @classmethod
    def load(
        cls,
        name: str = "Salesforce/blip-image-captioning-large",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        download: bool = False,
        progress: Progress | None = None,
        revision: str | None = None,
        size: str | None = None,
    ) -> BlipCaptioner:
        """Load a captioner.

        Args:
            name: hub id or folder.
            device, dtype: see `choose_device` and `choose_dtype`.
            download: whether missing files may be fetched from the Hugging Face hub.
            progress: called with bytes done and bytes in all while downloading; may raise to cancel.
            revision: branch, tag or commit on the hub.
            size: how large a download would be, for the message when files are missing.

        Raises:
            ModelNotFoundError: files are missing and may not be downloaded; names them and the folder for them.
            ModelLoadError: the files are no BLIP, damaged or incomplete. No layer is ever left random.
            DeviceError: no such device or dtype here.
        """
        place = choose_device(device)
        compute = choose_dtype(dtype, place)
        folder = hub.fetch_files(
            str(name),
            BLIP_FILES.required,
            any_of=BLIP_FILES.any_of,
            optional=BLIP_FILES.optional,
            revision=revision,
            download=download,
            size=size,
            progress=progress,
        )
        model, processor = load_blip(folder)
        return cls(model.to(device=place, dtype=compute), processor, str(name))

    def caption(
        self, images: Sequence[Image.Image], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        """One caption an image, in their order, without the prefix unless `options.keep_prefix`.

        images: PIL images of any mode.  progress(done, total): images finished and in all; called several times a
        second, in the thread of the caller, also inside the model; what it raises stops the work and comes out here.

        Raises RequestError (prefix and length do not fit the model) and ImageReadError (not a picture).
        """
        prompt = self._prompt(options)
        captions: list[str] = []
        for start in range(0, len(images), options.batch_size):
            batch = [
                to_rgb(image, f"image {start + place}")
                for place, image in enumerate(images[start : start + options.batch_size])
            ]
            with _told(self.module, progress, start, len(images)), torch.inference_mode():
                written = self._generate(batch, prompt, options)  # [b, <= max_new_tokens]
            captions += [self._text(prompt, tokens, options) for tokens in written.tolist()]
        if progress is not None and captions:
            progress(len(captions), len(captions))
        return captions

    def _prompt(self, options: CaptionOptions) -> list[int]:
        """Token ids of the prefix: what the decoder is given after its start token."""
        ids: list[int] = self.processor.tokenizer(options.prefix, add_special_tokens=False)["input_ids"]
        config: Any = self.module.config
        room = config.text_config.max_position_embeddings - 1  # one place for the start token
        if len(ids) + options.max_new_tokens > room:
            raise RequestError(
                f"a prefix of {len(ids)} tokens and max_new_tokens={options.max_new_tokens} "
                f"are more than the {room} tokens that {self.name} can write"
            )
        return ids

    def _generate(self, batch: list[Image.Image], prompt: list[int], options: CaptionOptions) -> torch.Tensor:
        """New token ids [b, n] of a batch, after start token and prompt; rows that end sooner are padded."""
        model: Any = self.module
        text = model.config.text_config
        weight = next(model.parameters())
        pixels = self.processor.image_processor(images=batch, return_tensors="pt")["pixel_values"]  # [b, 3, H, W]
        # BLIP's generate() drops the last token, where its tokenizer puts [SEP], and counts on a start token first.
        row = [text.bos_token_id, *prompt, text.sep_token_id]
        ids = torch.tensor([row] * len(batch), dtype=torch.long, device=weight.device)  # [b, 2 + p]
        # Each setting is given, whatever a generation_config.json beside the weights says.
        settings: dict[str, Any] = {
            "max_new_tokens": options.max_new_tokens,
            "num_beams": options.num_beams,
            "do_sample": False,
            "repetition_penalty": float(options.repetition_penalty),
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
        }
        if options.min_new_tokens:
            settings["min_new_tokens"] = options.min_new_tokens
        if options.num_beams > 1:
            settings["length_penalty"] = float(options.length_penalty)
        written: torch.Tensor = model.generate(
            pixels.to(device=weight.device, dtype=weight.dtype),
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **settings,
        )  # [b, 1 + p + n]
        return written[:, 1 + len(prompt) :]

    def _text(self, prompt: list[int], tokens: list[int], options: CaptionOptions) -> str:
        config: Any = self.module.config
        end = config.text_config.sep_token_id
        if end in tokens:
            tokens = tokens[: tokens.index(end)]
        if options.keep_prefix:
            tokens = prompt + tokens
        text: str = self.processor.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True)
        # A caption that goes on inside the prefix's last word starts with the mark of a word part.
        return strip_words(" ".join(text.removeprefix("##").split()), options.strip)


@contextmanager
def _told(module: torch.nn.Module, progress: Progress | None, done: int, total: int) -> Iterator[None]:
    """Call progress(done, total) from inside the model while the block runs.

    Before each layer, for one pass of a batch through a large vision tower takes many seconds on a CPU.
    """
    if progress is None:
        yield
        return
    progress(done, total)
    owner, last = threading.get_ident(), time.monotonic()

    def tell(*_: Any) -> None:
        nonlocal last
        now = time.monotonic()
        # Another thread may use the same model; its layers are not ours to stop.
        if now - last >= _TELL_SECONDS and threading.get_ident() == owner:
            last = now
            progress(done, total)

    hook: Callable[..., None] = tell
    layers = (layer for layer in module.modules() if next(layer.children(), None) is None)
    hooks = [layer.register_forward_pre_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
