"""A question as the text that stands in front of the answer: by the model's chat template, or as its family has it."""

from __future__ import annotations

import re
from typing import Any

from ...errors import ModelLoadError, RequestError
from .families import ChatFamily
from .processor import template_of

# Words that no template contains, to find out what a template does with them.
_QUESTION, _SYSTEM = "Zyxquestion", "Zyxsystem"

# What a template writes that takes contents for texts and is given parts.
_LEAKED = re.compile(r"""["']type["']\s*:""")


class Wording:
    """How one model is asked.

    Attributes:
        knows_system: whether it takes a system prompt.
        takes_texts: whether its template takes contents that are texts, not parts, as JoyCaption's.
        shows_start: whether its texts begin with the start token, which the tokenizer then must not add.
    """

    def __init__(self, processor: Any, family: ChatFamily, name: str) -> None:
        """Find out how a model's template takes its contents. Raises ModelLoadError: it puts in no image."""
        self._processor = processor
        self._family = family
        self._template = template_of(processor) if family.template else None
        self._style = 0
        self.knows_system = self.shows_start = self.takes_texts = False
        if self._template is not None:
            self._style = self._working_style(name)
            with_system = self._rendered(_QUESTION, _SYSTEM, self._style)
            self.knows_system = with_system is not None and with_system.count(_SYSTEM) == 1
            self.takes_texts = self._style > 0
            start = processor.tokenizer.bos_token
            self.shows_start = bool(start) and self.text(_QUESTION).startswith(start)

    @property
    def by_template(self) -> bool:
        """Whether a chat template makes the text; else the image is put in front of it."""
        return self._template is not None

    def text(self, question: str, system: str = "", prefix: str = "") -> str:
        """What stands in front of the answer to a question; it ends with the prefix that the answer begins with.

        Raises RequestError: one of them holds what stands for an image.
        """
        for mark in self._marks():
            if any(mark in words for words in (question, system, prefix)):
                raise RequestError(f"a question must not hold {mark}, which stands for an image; leave it out")
        if self._template is None:
            return self._family.lead + " ".join(part for part in (question, prefix) if part)
        text = self._rendered(question, system, self._style)
        assert text is not None, "the template was tried when the model was loaded"
        return text + prefix

    def thinks(self, text: str) -> bool:
        """Whether a text leaves thinking begun, so that the answer begins in the midst of it."""
        return text.rfind("<think>") > text.rfind("</think>")

    def _working_style(self, name: str) -> int:
        """The first form of contents with which the question and exactly one image are in the text."""
        found: dict[int, int] = {}
        for style in range(len(_STYLES)):
            text = self._rendered(_QUESTION, "", style)
            if text is not None and text.count(_QUESTION) == 1 and not _LEAKED.search(text):
                found[style] = max((text.count(mark) for mark in self._marks()), default=0)
                if found[style] == 1:
                    return style
        if not found:
            raise ModelLoadError(f"the chat template of {name} leaves the question out; fetch the current files")
        raise ModelLoadError(
            f"the chat template of {name} puts in {max(found.values()) or 'no'} images instead of one; fetch the "
            "current files"
        )

    def _marks(self) -> list[str]:
        """What may stand for an image in a text that the processor then reads."""
        tokenizer = self._processor.tokenizer
        named = [
            getattr(owner, attribute, None)
            for owner in (self._processor, tokenizer)
            for attribute in ("image_token", "boi_token", "start_image_token", "image_placeholder")
        ]
        return list(dict.fromkeys([*(str(mark) for mark in named if mark), "<image>"]))

    def _rendered(self, question: str, system: str, style: int) -> str | None:
        """A conversation as text; None where the template cannot take it."""
        from jinja2 import TemplateError

        image = next(iter(self._marks()))
        messages = [{"role": "user", "content": _STYLES[style](question, image)}]
        if system:
            content: Any = system if style else [{"type": "text", "text": system}]
            messages.insert(0, {"role": "system", "content": content})
        try:
            text = self._processor.tokenizer.apply_chat_template(
                messages, chat_template=self._template, add_generation_prompt=True, tokenize=False,
                enable_thinking=False,
            )  # fmt: skip
        except (TemplateError, TypeError, ValueError):  # what it raises for a role or a content that it does not know
            return None
        return str(text)


_STYLES: tuple[Any, ...] = (
    lambda question, image: [{"type": "image"}, {"type": "text", "text": question}],
    lambda question, image: question,  # templates that put in the image themselves, as JoyCaption's
    lambda question, image: f"{image}\n{question}",
)
"""How the content of a message may be written."""
