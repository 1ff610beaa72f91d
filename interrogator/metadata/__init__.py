"""The prompts that generators leave in the metadata of their pictures: ComfyUI's, and those of A1111 and its forks.

prompt      true_prompt: the prompt of a picture
fields      the texts in the metadata of a file
graph       what ComfyUI ran, as nodes
positive    the positive prompt of such a graph
parameters  the prompt in the text that A1111 writes
markup      a prompt without weights, networks and editing
"""

from __future__ import annotations

from .markup import without_syntax
from .prompt import true_prompt

__all__ = ["true_prompt", "without_syntax"]
