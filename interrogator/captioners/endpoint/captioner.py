"""Captions by a model behind a server that speaks the OpenAI-compatible protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

import torch
from PIL import Image

from ...errors import CaptionError, RequestError
from ...models import Ability, Answer, Located
from ...progress import Progress
from ...registry import load_as
from ..answers import LOOPED, clean, loops, without_loop
from ..named_prompts import NAMED_PROMPTS, questions, text_of
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions
from ..strip import strip_words
from .address import Address
from .connection import Call
from .limits import Limits
from .messages import Completion, request_body
from .pictures import DataUrl, Picture
from .requests import send_all
from .server import Server, key_from_environment

logger = logging.getLogger("interrogator")

LENGTH = 1024
"""Tokens where nobody says how many: only a limit, and models that think spend most of it on that."""

_QUESTION = NAMED_PROMPTS["detailed"]
_CHARACTERS, _CHARACTERS_PER_TOKEN = 20_000, 16  # a longer caption has lost its way, and no limit was heeded
_SECOND_TEMPERATURE = 0.6  # for one more try where the likeliest tokens go in circles
_AHEAD = 2  # threads that make requests ready while others wait for the server
_REQUEST_BYTES = 16_000_000  # a picture with its pixels, its file and its request


class EndpointCaptioner:
    """Writes captions by asking a server: LM Studio, Ollama, llama.cpp, vLLM, `transformers serve` or any like them.

    Of the options, the server gets the question, the system prompt, the length, temperature, top_p, seed and, where it
    is not 0, top_k; whether it heeds them is up to it. The protocol has no minimum length. What it cannot do is refused
    before anything is sent. `batch_size` has no effect: `limits.in_flight` requests are under way at any time.
    """

    family = "endpoint"
    abilities: frozenset[Ability] = frozenset({"prompt", "sampling", "system prompt"})
    module = None
    device = torch.device("cpu")
    dtype = torch.float32
    prompts: Mapping[str, str] = NAMED_PROMPTS

    def __init__(self, address: Address, *, limits: Limits | None = None, origin: Located | None = None) -> None:
        """Reach for a server: asks it which models it has.

        Raises EndpointError: no such server answers, it wants another key, or the address names no model and the server
        has none or several.
        """
        limits = limits or Limits.from_environment()
        key = key_from_environment()
        # Pictures leave this machine only for a host that was written out, and never without a word about it.
        if not address.is_loopback:
            logger.warning("pictures are sent to %s, which is not on this machine", address.base)
        self._pool = ThreadPoolExecutor(limits.in_flight + _AHEAD, thread_name_prefix="endpoint")
        self._server = Server(address, limits, key)
        send_all(self._pool, [[self._server.choose_model]], None)
        self.name = str(self._server.address)
        self.origin = origin or Located("captioner", self.name, self.family, None, address)

    @classmethod
    def load(cls, name: str) -> EndpointCaptioner:
        """A captioner by its address, `http://127.0.0.1:1234/v1#model`.

        Raises RequestError: it is no complete address; see `Address.parse`. And what the constructor raises.
        """
        return load_as(cls, "captioner", name)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> EndpointCaptioner:
        """Reach for a located server; where and in what it computes is its own business. Raises EndpointError."""
        return cls(located.parts, origin=located)

    @property
    def limits(self) -> Limits:
        """How much the server is asked at once, and how long it is waited for."""
        return self._server.limits

    @property
    def in_flight(self) -> int:
        """Requests at a time. Calls of several threads share them, the earlier call first."""
        return self.limits.in_flight

    @property
    def working_bytes(self) -> int:
        """Memory of the requests under way."""
        return (self.limits.in_flight + _AHEAD) * _REQUEST_BYTES

    def prepare(self, image: Image.Image) -> Picture:
        """The image as a JPEG file of at most two megapixels. Raises ImageReadError: it cannot be read."""
        return Picture.of(image)

    def check(self, options: CaptionOptions) -> None:
        """Raises RequestError: options that no request can carry."""
        carried = {"prefix": "", "num_beams": 1, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
        for name, nothing in carried.items():
            if getattr(options, name) != nothing:
                raise RequestError(f"{self.name} cannot do {name}: a server is not asked for it; leave it out")
        text_of(options.ask, self.prompts)

    def caption(
        self, prepared: Sequence[Picture], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        """As `answer`. Raises CaptionError, too: an image has no caption."""
        answers = self.answer(prepared, options, progress)
        for each in answers:
            if each.error:
                raise CaptionError(each.error)
        return [each.text for each in answers]

    def answer(
        self, prepared: Sequence[Picture], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[Answer]:
        """What the model says of each image, in order.

        progress(done, total) counts images; it is called several times a second while the server works, and may raise
        to cancel: then all connections are closed at once.

        Raises:
            RequestError: the server cannot be asked for this.
            EndpointError: it is gone, or answers no request of this kind.
        """
        self.check(options)
        options = options.with_length(LENGTH)
        asked = questions(options, len(prepared), self.prompts, _QUESTION)
        settings: dict[str, Any] = {"max_tokens": options.max_new_tokens, "temperature": options.temperature}
        if options.temperature:
            settings["top_p"] = options.top_p
        tasks: list[list[Callable[[Call], Answer]]] = []
        for picture, question in zip(prepared, asked, strict=True):
            seeded = {**settings, "seed": _seed(options.seed, picture.key)}
            url = DataUrl(picture, options.max_pixels)
            tasks.append([partial(self._answered, url, question, options, seeded)])
        return [answer for (answer,) in send_all(self._pool, tasks, progress)]

    def sample(
        self,
        prepared: Sequence[Picture],
        keys: Sequence[str],
        options: SamplingOptions = DEFAULT_SAMPLING,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """`options.count` captions for each image, each of a request of its own with a seed of its own.

        The seed hangs on `options.seed`, the image's key and the number of the caption. Token ids and probabilities
        stay on the server, so a caption has none. One that the server refuses is empty. progress and errors as of
        `answer`.

        Raises CaptionError, too: an image has no caption at all.
        """
        if len(keys) != len(prepared):
            raise RequestError(f"got {len(keys)} keys for {len(prepared)} images; give one for each")
        if options.forbidden:
            raise RequestError(f"{self.name} cannot do forbidden words; use another captioner")
        rules = options.caption_options.with_length(LENGTH)
        self.check(rules)
        asked = questions(options, len(prepared), self.prompts, _QUESTION)
        settings = {"max_tokens": rules.max_new_tokens, "temperature": options.temperature, "top_p": options.top_p}
        if options.top_k:
            settings["top_k"] = options.top_k
        tasks: list[list[Callable[[Call], Answer]]] = []
        for picture, key, question in zip(prepared, keys, asked, strict=True):
            url = DataUrl(picture, options.max_pixels)
            seeds = [_seed(options.seed, key, number) for number in range(options.count)]
            tasks.append([partial(self._answered, url, question, rules, {**settings, "seed": seed}) for seed in seeds])
        return [_sampled(answers) for answers in send_all(self._pool, tasks, progress)]

    def _answered(
        self, url: DataUrl, question: str, options: CaptionOptions, settings: Mapping[str, Any], call: Call
    ) -> Answer:
        """The answer for one image, asked for once more where the first goes in circles."""
        try:
            written = self._completed(call, url, question, options, settings)
            remarks: tuple[str, ...] = ()
            if _goes_in_circles(written):
                # The likeliest tokens led there, so others are drawn.
                warmer = max(_SECOND_TEMPERATURE, settings["temperature"])
                other = {**settings, "temperature": warmer, "top_p": options.top_p, "seed": settings["seed"] + 1}
                written = self._completed(call, url, question, options, other)
                remarks = (LOOPED,)
                if _goes_in_circles(written):
                    written = replace(written, text=_first_round(written.text))
            text, cut = clean(written.text, written.finished)
            return Answer(_caption(text, written, options), (*cut, *remarks))
        except CaptionError as error:
            return Answer("", error=str(error))

    def _completed(
        self, call: Call, url: DataUrl, question: str, options: CaptionOptions, settings: Mapping[str, Any]
    ) -> Completion:
        body = request_body(self._server.address.model, options.system, question, url.get(), settings)
        return self._server.complete(call, body)


def _caption(text: str, written: Completion, options: CaptionOptions) -> str:
    """The finished caption, in one line. Raises CaptionError: there is none."""
    assert options.max_new_tokens is not None
    most = max(_CHARACTERS, _CHARACTERS_PER_TOKEN * options.max_new_tokens)
    if len(text) > most:
        raise CaptionError(
            f"the server answers {len(text):,} characters where {options.max_new_tokens} tokens were asked for; use"
            " another model"
        )
    if not text and (written.thought or "<think>" in written.text) and not written.finished:
        raise CaptionError(
            f"the model thought until its {options.max_new_tokens} tokens were used up; allow it more tokens, or use a"
            " model that does not think"
        )
    caption = strip_words(" ".join(text.split()), options.strip)
    if not caption:
        raise CaptionError("the server's answer is empty; try again, or use another model")
    return caption


def _sampled(answers: Sequence[Answer]) -> list[Sampled]:
    """The samples of an image. Raises CaptionError: all of them failed."""
    if answers and all(each.error for each in answers):
        raise CaptionError(answers[0].error)
    return [Sampled(each.text, (), None, "cut" not in each.remarks and not each.error) for each in answers]


def _goes_in_circles(written: Completion) -> bool:
    """Whether an answer that reached its limit repeats its last words; they stand in for tokens, which stay there."""
    return not written.finished and loops(_numbered(written.text.split()))


def _first_round(text: str) -> str:
    """A text that goes in circles, up to the end of the first round."""
    words = text.split()
    return " ".join(words[: len(without_loop(_numbered(words)))])


def _numbered(words: Sequence[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(word, len(numbers)) for word in words]


def _seed(seed: int, *key: Any) -> int:
    """A seed of 31 bits, which every server takes, that hangs on the user's and a key."""
    digest = blake2b(repr((seed, *key)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
