"""Captions by Florence-2: a chat captioner that is asked by tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ...checkpoints import read_json
from ...models import Answer, Located
from ...progress import Progress
from ..chat.captioner import ChatCaptioner
from ..chat.inputs import Pixels
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions
from .checkpoint import load_florence2
from .tasks import check_task, tasks_of


class Florence2Captioner(ChatCaptioner):
    """Writes captions with Florence-2; for several threads.

    No run of tokens is written twice that the model's own settings forbid (three tokens), whatever the options say:
    it was made to be decoded so.

    Attributes:
        prompts: the tasks it was taught, by name.
    """

    family = "florence2"

    def __init__(
        self, model: Any, processor: Any, name: str = "florence2", *, origin: Located | None = None, based_on: str = ""
    ) -> None:
        """Wrap a loaded model and its processor (see `checkpoint.load_florence2`).

        based_on: the name of the model that it was made from, where it has another one now.
        """
        super().__init__(model, processor, name, origin=origin)
        self.prompts: Mapping[str, str] = tasks_of([self.name, based_on])
        self._no_repeat = int(model.generation_config.no_repeat_ngram_size or 0)
        self._longest = int(model.config.text_config.max_position_embeddings)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> Florence2Captioner:
        """Build a located model. Raises ModelLoadError: its files are damaged, lack a tensor, or cannot be loaded."""
        assert located.folder is not None
        model, processor = load_florence2(located.folder, device, dtype)
        based_on = str(read_json(located.folder / "config.json").get("_name_or_path", ""))
        return cls(model, processor, located.name, origin=located, based_on=based_on)

    def check(self, options: CaptionOptions) -> None:
        """Raises RequestError: what is asked is no task, or the options ask for what the model cannot do."""
        check_task(options.ask, self.prompts, self.name)
        super().check(options)

    def answer(
        self, prepared: Sequence[Pixels], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[Answer]:
        """As of `ChatCaptioner`."""
        options = options.with_length(min(self._longest, self._kind.max_new_tokens))
        return super().answer(prepared, replace(options, no_repeat_ngram_size=self._run(options)), progress)

    def sample(
        self,
        prepared: Sequence[Pixels],
        keys: Sequence[str],
        options: SamplingOptions = DEFAULT_SAMPLING,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """As of `ChatCaptioner`."""
        options = options.with_length(min(self._longest, self._kind.max_new_tokens))
        return super().sample(prepared, keys, replace(options, no_repeat_ngram_size=self._run(options)), progress)

    def _run(self, options: CaptionOptions | SamplingOptions) -> int:
        """How many tokens in a row are not written twice."""
        return options.no_repeat_ngram_size or self._no_repeat
