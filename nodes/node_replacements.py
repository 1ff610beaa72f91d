"""Old graphs keep running: our nodes replace those of abandoned packs that are not installed."""

from __future__ import annotations

from comfy_api.latest import io


async def register() -> None:
    """Tell ComfyUI which nodes ours replace; does nothing before ComfyUI 0.14, which cannot replace nodes."""
    if not hasattr(io, "NodeReplace"):
        return
    from comfy_api.latest import ComfyAPI

    # prodogape/ComfyUI-clip-interrogator and its copies: image, mode and the name of a CLIP model in, a prompt out.
    # Its modes have the names of ours. Its model names are open_clip's; Interrogate Image takes presets instead, and
    # the one for Stable Diffusion 1.x is what that node was made for.
    await ComfyAPI().node_replacement.register(
        io.NodeReplace(
            old_node_id="ComfyUIClipInterrogator",
            new_node_id="InterrogatorImage",
            old_widget_ids=["mode", "model_name"],
            input_mapping=[
                {"new_id": "image", "old_id": "image"},
                {"new_id": "mode", "old_id": "mode"},
                {"new_id": "preset", "set_value": "sd15"},
            ],
            output_mapping=[{"new_idx": 0, "old_idx": 0}],
        )
    )
