"""Prompts in ComfyUI's API format, built node by node."""

from __future__ import annotations

from typing import Any

Link = list[Any]


class Graph:
    """Nodes and their inputs; `Comfy.run` takes its `prompt`."""

    def __init__(self) -> None:
        self.prompt: dict[str, Any] = {}

    def add(self, kind: str, **inputs: Any) -> str:
        """Put a node in; its id."""
        node = str(len(self.prompt) + 1)
        self.prompt[node] = {"class_type": kind, "inputs": inputs}
        return node

    def image(self, count: int = 1) -> Link:
        """A batch of so many different creatures."""
        batch = output(self.add("LoadImage", image="creature-0.png"))
        for number in range(1, count):
            other = output(self.add("LoadImage", image=f"creature-{number}.png"))
            batch = output(self.add("ImageBatch", image1=batch, image2=other))
        return batch

    def repeated_image(self, count: int) -> Link:
        """A batch of so many times the same creature."""
        return output(self.add("RepeatImageBatch", image=self.image(), amount=count))

    def encoder(self, model: str = "demo") -> Link:
        return output(self.add("InterrogatorLoadEncoder", model=model, precision="auto", download=False))

    def captioner(self, model: str = "demo") -> Link:
        return output(self.add("InterrogatorLoadCaptioner", model=model, precision="auto", download=False))

    def tagger(self, model: str = "demo") -> Link:
        return output(self.add("InterrogatorLoadTagger", model=model, precision="auto", download=False))

    def tag_node(self, image: Link, **changes: Any) -> str:
        """Tag Image with the demo's tagger."""
        inputs = {
            "image": image, "tagger": self.tagger(), "threshold": 0.0, "character_threshold": 0.0, "max_tags": 0,
            "blocked": "", "keep_underscores": False,
        }  # fmt: skip
        return self.add("InterrogatorTag", **{**inputs, **changes})

    def banks(self, **changes: Any) -> Link:
        """Load Phrase Banks with a few phrases about creatures, and what is to be different."""
        inputs = {
            "artists": "none", "mediums": True, "movements": False, "sites": False, "flavors": "none",
            "negative": True, "lines": "a red cat\na blue dog\na green bird", "file": "", "block": "", "quota": "",
        }  # fmt: skip
        return output(self.add("InterrogatorLoadBanks", **{**inputs, **changes}))

    def caption_node(self, image: Link, **changes: Any) -> str:
        """Caption Image with the demo's captioner."""
        inputs = {
            "image": image, "captioner": self.captioner(), "prefix": "", "keep_prefix": False,
            "max_length": 32, "min_length": 0, "beams": 1, "repetition_penalty": 1.0,
        }  # fmt: skip
        return self.add("InterrogatorCaption", **{**inputs, **changes})

    def text_of(self, link: Link) -> str:
        """A node of ComfyUI that shows what comes out of a socket, once an item; its id."""
        return self.add("PreviewAny", source=link)


def output(node: str, place: int = 0) -> Link:
    """A link to one of a node's outputs."""
    return [node, place]


def mode(name: str, **options: Any) -> dict[str, Any]:
    """The mode input and the options that belong to it, as ComfyUI's API wants them."""
    return {"mode": name, **{f"mode.{option}": value for option, value in options.items()}}
