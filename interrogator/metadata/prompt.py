"""true_prompt: the prompt that a picture was made with, if its metadata say so."""

from __future__ import annotations

from os import PathLike

from .fields import PARAMETERS, PROMPT, WORKFLOW, fields
from .graph import read_graph
from .markup import without_syntax
from .parameters import positive_of_parameters
from .positive import positive_of


def true_prompt(source: str | PathLike[str] | bytes) -> str | None:
    """The positive prompt in the metadata of a picture, as plain phrases on one line; None where there is none.

    Read are PNG, JPEG and WebP of ComfyUI and of A1111 and its forks. Weights, networks and other syntax are left out,
    see `without_syntax`. Whatever the file holds, nothing is raised, and time is bounded.

    Args:
        source: the path of a file, or its bytes.
    """
    texts = fields(source)
    for name in (PARAMETERS, PROMPT, WORKFLOW):  # programs that write A1111's text beside a graph know the prompt
        if name in texts:
            found = positive_of_parameters(texts[name]) if name == PARAMETERS else positive_of(read_graph(texts[name]))
            if plain := without_syntax(found):
                return plain
    return None
