"""Captioner at an Endpoint: a model that a server offers, such as LM Studio, Ollama, llama.cpp or vLLM."""

from __future__ import annotations

from comfy_api.latest import io

from ..interrogator.errors import RequestError
from . import addresses, models
from .sockets import Captioner


class InterrogatorEndpoint(io.ComfyNode):
    """A captioner behind a server with an OpenAI-compatible API."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorEndpoint",
            display_name="Captioner at an Endpoint",
            category="interrogator/loaders",
            description="Connects to a model behind a server with an OpenAI-compatible API: LM Studio, Ollama,"
            " llama.cpp, vLLM and others.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.String.Input(
                    "address", default="", placeholder="http://127.0.0.1:1234/v1",
                    tooltip="Address of a server on this machine. Empty: the address in Settings > Interrogator >"
                    " Endpoint. Another machine works only if its address is set there, so that no workflow from the"
                    " web can send your pictures away.",
                ),
                io.String.Input(
                    "model", default="", placeholder="qwen3-vl-8b",
                    tooltip="The model's name on that server. Empty: the only one it has.",
                ),
            ],
            outputs=[
                Captioner.Output(
                    "captioner", display_name="captioner",
                    tooltip="For Caption Image, Interrogate Image and Interrogate (advanced).",
                )
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, address: str | None = None, model: str | None = None) -> str:
        """Changes with the user's own address; everything else is in the inputs."""
        try:
            return addresses.address_of(address or "", model or "")
        except (ValueError, RequestError):
            return ""

    @classmethod
    def execute(cls, address: str, model: str) -> io.NodeOutput:
        name = addresses.address_of(address, model)
        return io.NodeOutput(models.load("captioner", name, download=False, node_id=cls.hidden.unique_id))
