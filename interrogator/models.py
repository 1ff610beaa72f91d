"""What models are: protocols, one a role, and what goes into and comes out of them.

A stand-in with exactly these members works everywhere: in the library, a dataset run, a node, a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from .captioners.options import CaptionOptions
from .captioners.sampling_options import Sampled, SamplingOptions
from .catalog import Role
from .progress import Progress

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from .embeddings.identity import EncoderIdentity

Ability = Literal["beams", "sampling", "prefix", "forbidden words", "prompt", "system prompt"]
"""What a captioner can do beside the likeliest caption: search with beams, sample captions, begin with a prefix, never
write some words, follow a question or instruction, follow a system prompt."""


@dataclass(frozen=True)
class Located:
    """Where a model was found: what `registry.locate` gives, and what a loaded model keeps as its `origin`.

    Attributes:
        role, name: what was asked for.
        family: the name of its family; "" for a model that the caller put together.
        folder: the folder of its weights; None where there is none, such as behind an endpoint.
        parts: what the family's own finder found beside the folder.
    """

    role: Role
    name: str
    family: str = ""
    folder: Path | None = None
    parts: Any = None

    @property
    def revision(self) -> str | None:
        """The commit of its files, as the folder in the Hugging Face cache is called; None where it lies elsewhere."""
        in_cache = self.folder is not None and self.folder.parent.name == "snapshots"
        return self.folder.name if in_cache and self.folder is not None else None


@dataclass(frozen=True)
class Tag:
    """A word of a tagger's vocabulary, and what the tagger says of it for an image.

    Attributes:
        text: as in the vocabulary, such as `long_hair`.
        probability: 0 to 1.
        category: general, character, copyright, artist, rating …
        threshold: the model's own files hold it true where it is more probable; None where they say nothing.
        implies: tags that are true where this one is, such as the series that a character is from.
    """

    text: str
    probability: float
    category: str = "general"
    threshold: float | None = None
    implies: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What there is to say to a person or in JSON: text, probability, category."""
        return {"text": self.text, "probability": self.probability, "category": self.category}


@dataclass(frozen=True)
class Answer:
    """What a captioner that follows questions says of one image.

    Attributes:
        text: the caption; "" where there is none.
        remarks: `cut`: an unfinished last sentence was removed; `looped`: it repeated itself and was tried again.
        error: why this image has no caption, one sentence; "" where it has one.
    """

    text: str
    remarks: tuple[str, ...] = ()
    error: str = ""


class Model(Protocol):
    """A loaded model of any role. Everything that computes may be called from several threads."""

    @property
    def name(self) -> str:
        """Catalog name, hub id or folder, for people."""
        ...

    @property
    def family(self) -> str:
        """The name of its family in the catalog."""
        ...

    @property
    def origin(self) -> Located:
        """Where its files were found."""
        ...

    @property
    def module(self) -> torch.nn.Module | None:
        """The one home of the weights; a host may move it between calls. None where a runtime keeps them."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        ...

    @property
    def working_bytes(self) -> int:
        """Memory that one call needs beside the weights, in bytes, for the largest batch that the model takes."""
        ...

    def prepare(self, image: Image.Image) -> Any:
        """An image as this model reads it: computed on the CPU, safe in any thread, small enough to keep many of."""
        ...


@runtime_checkable
class Captioner(Model, Protocol):
    """Writes sentences about images."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do beside the likeliest caption."""
        ...

    def caption(
        self,
        prepared: Sequence[Any],
        options: CaptionOptions = ...,
        progress: Progress | None = None,
    ) -> list[str]:
        """One caption for each prepared image, in order. progress(done, total) counts images; may raise to cancel."""
        ...


@runtime_checkable
class Samples(Protocol):
    """A captioner that writes several different captions about an image: its abilities hold `sampling`."""

    def sample(
        self,
        prepared: Sequence[Any],
        keys: Sequence[str],
        options: SamplingOptions = ...,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """`options.count` captions for each prepared image. keys: a name for each, on which its random numbers hang."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A captioner that follows a question or instruction: its abilities hold `prompt`."""

    @property
    def prompts(self) -> Mapping[str, str]:
        """By name the questions that it knows; see `captioners.named_prompts`."""
        ...

    def check(self, options: CaptionOptions) -> None:
        """Raises RequestError: it cannot follow these options. Called before any work, without tags."""
        ...

    def answer(
        self, prepared: Sequence[Any], options: CaptionOptions = ..., progress: Progress | None = None
    ) -> list[Answer]:
        """As `Captioner.caption`, with remarks, and with an error where an image has no caption."""
        ...


@runtime_checkable
class Tagger(Model, Protocol):
    """Says which words of a fixed vocabulary are true of an image."""

    def tag(self, prepared: Sequence[Any], progress: Progress | None = None) -> list[list[Tag]]:
        """Every tag of the vocabulary for each prepared image, whatever its probability."""
        ...


@runtime_checkable
class Matcher(Model, Protocol):
    """Says whether a text belongs to an image."""

    def match(
        self, prepared: Sequence[Any], texts: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> Tensor:
        """The probability of each text of each image's own list: float32 [B, N] on the CPU, NaN behind a short list."""
        ...


@runtime_checkable
class Encoder(Model, Protocol):
    """An image and text encoder in the manner of CLIP (Radford et al. 2021, arXiv 2103.00020).

    All embeddings are float32 rows of unit length on the model's device. `progress(done, total)` may raise to
    cancel and is called at least about once a second, between layers if need be.
    """

    @property
    def context_length(self) -> int:
        """Tokens of a text at most, start and end tokens included."""
        ...

    def embed(self, prepared: Sequence[Any], progress: Progress | None = None) -> Tensor:
        """Embeddings [B, D] of prepared images."""
        ...

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of texts; what exceeds the context is cut off.

        dtype: what to compute in; None is the encoder's own. An encoder whose own is float32 is never asked for
            another.
        """
        ...

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of `f"{prompt}, {phrase}"` for each phrase, of the phrase alone after an empty prompt."""
        ...

    def count(self, text: str) -> int:
        """How many tokens a text has, start and end tokens included, were there no limit."""
        ...

    def fits(self, text: str) -> bool:
        """Whether no token of a text is cut off."""
        ...

    def identity(self) -> EncoderIdentity:
        """What tells this model's text embeddings from any other's; keys the cache on disk."""
        ...
