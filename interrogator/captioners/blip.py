"""Captions by BLIP (arXiv 2201.12086): a vision transformer reads the image, a text decoder writes about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..batches import in_batches
from ..devices import choose_device, choose_dtype
from ..errors import RequestError
from ..images import to_rgb
from ..module_views import view_of
from ..progress import Progress, watched
from ..threads import Lock
from .decoding import Decoder
from .forbidden import ForbiddenWords
from .loading import find_blip, load_blip
from .options import DEFAULT_OPTIONS, CaptionOptions
from .sampling_options import SamplingOptions, greedy
from .strip import strip_words
from .vision import read_images, shrunk

if TYPE_CHECKING:
    from .sampling import Sampled


class BlipCaptioner:
    """Writes captions with a BLIP captioning model of transformers, base or large; in several threads if they like.

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
        self._tokenizing = Lock()  # a tokenizer of Hugging Face refuses to be set while another thread reads with it

    @classmethod
    def load(
        cls,
        name: str = "Salesforce/blip-image-captioning-large",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        download: bool = False,
        progress: Progress | None = None,
        revision: str | None = None,
    ) -> BlipCaptioner:
        """Load a captioner.

        Args:
            name: hub id or folder.
            device, dtype: see `choose_device` and `choose_dtype`.
            download: whether missing files may be fetched from the Hugging Face hub.
            progress: called with bytes done and bytes in all while downloading; may raise to cancel.
            revision: branch, tag or commit on the hub.

        Raises:
            ModelNotFoundError: files are missing and may not be downloaded; names them and the folder for them.
            ModelLoadError: the files are no BLIP, damaged or incomplete. No layer is ever left random.
            DeviceError: no such device or dtype here.
        """
        place = choose_device(device)
        compute = choose_dtype(dtype, place)
        model, processor = load_blip(find_blip(str(name), download, progress, revision))
        return cls(model.to(device=place, dtype=compute), processor, str(name))

    def caption(
        self, images: Sequence[Image.Image], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        """One caption an image, in their order, without the prefix unless `options.keep_prefix`.

        images: PIL images of any mode.  progress(done, total): images finished and in all; called several times a
        second, in the thread of the caller, also inside the model; what it raises stops the work and comes out here.

        Where memory runs out, it goes on with half as many images at a time. Raises RequestError (prefix and length do
        not fit the model) and ImageReadError (not a picture).
        """
        prompt = self.prompt_ids(options)

        def write(start: int, stop: int) -> list[list[int]]:
            batch = [to_rgb(images[place], f"image {place}") for place in range(start, stop)]
            model, tell = watched(self.module, progress)
            with torch.inference_mode():
                tell(start, len(images))
                states = read_images(model, self.processor, batch)  # [b, P, width]
                search = self._greedy if options.num_beams == 1 else self._beams
                return search(model, states, prompt, options)

        captions: list[str] = []
        for batch in in_batches(len(images), options.batch_size, write, self._device):
            captions += [self.text_of(prompt, tokens, options) for tokens in batch]
        if progress is not None and captions:
            progress(len(captions), len(captions))
        return captions

    def sample(
        self,
        images: Sequence[Image.Image],
        keys: Sequence[str],
        options: SamplingOptions,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """Several captions an image; see `sample_captions`."""
        from .sampling import sample_captions  # which knows what a BlipCaptioner is

        return sample_captions(self, images, keys, options, progress)

    def shrunk(self, image: Image.Image) -> Image.Image:
        """A picture at the size that the model reads it in; its caption is that of the picture itself.

        For those who keep many pictures waiting: the rest of a large one would only take up memory.
        """
        return shrunk(self.processor, image)

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def prompt_ids(self, options: CaptionOptions) -> list[int]:
        """Token ids of the prefix: what the decoder is given after its start token."""
        with self._tokenizing:
            ids: list[int] = self.processor.tokenizer(options.prefix, add_special_tokens=False)["input_ids"]
        config: Any = self.module.config
        room = config.text_config.max_position_embeddings - 1  # one place for the start token
        if len(ids) + options.max_new_tokens > room:
            raise RequestError(
                f"a prefix of {len(ids)} tokens and max_new_tokens={options.max_new_tokens} "
                f"are more than the {room} tokens that {self.name} can write"
            )
        return ids

    def _greedy(self, model: Any, states: torch.Tensor, prompt: list[int], options: CaptionOptions) -> list[list[int]]:
        """New token ids of each image, given as states [b, P, width]: the likeliest each time."""
        decoder = Decoder(model, prompt, greedy(options), ForbiddenWords((), self.processor.tokenizer))
        return [told.tokens for told in decoder.write(decoder.read(states), [""] * len(states), range(1))]

    def _beams(self, model: Any, states: torch.Tensor, prompt: list[int], options: CaptionOptions) -> list[list[int]]:
        """New token ids of each image, given as states [b, P, width], by beam search; padded where one ends sooner."""
        text = model.config.text_config
        row = [text.bos_token_id, *prompt]
        ids = torch.tensor([row] * len(states), dtype=torch.long, device=states.device)  # [b, 1 + p]
        # Each setting is given, whatever a generation_config.json beside the weights says.
        settings: dict[str, Any] = {
            "max_new_tokens": options.max_new_tokens,
            "num_beams": options.num_beams,
            "do_sample": False,
            "repetition_penalty": float(options.repetition_penalty),
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
            "length_penalty": float(options.length_penalty),
        }
        if options.min_new_tokens:
            settings["min_new_tokens"] = options.min_new_tokens
        # `generate` is free to write on the model that it is a method of.
        written: torch.Tensor = view_of(model.text_decoder).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            encoder_hidden_states=states,
            encoder_attention_mask=ids.new_ones(states.shape[:2]),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            **settings,
        )  # [b, 1 + p + n]
        return written[:, len(row) :].tolist()

    def text_of(self, prompt: list[int], tokens: list[int], options: CaptionOptions) -> str:
        config: Any = self.module.config
        end = config.text_config.sep_token_id
        if end in tokens:
            tokens = tokens[: tokens.index(end)]
        if options.keep_prefix:
            tokens = prompt + tokens
        with self._tokenizing:
            text: str = self.processor.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True
            )
        # A caption that goes on inside the prefix's last word starts with the mark of a word part.
        return strip_words(" ".join(text.removeprefix("##").split()), options.strip)
