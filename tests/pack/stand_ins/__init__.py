"""Small stand-ins of what the pack imports from ComfyUI, so that its nodes run without it.

`api` is comfy_api.latest, `host` is everything else, `loading` puts both into sys.modules and loads the pack as
ComfyUI does, `running` calls a node as the executor does. They were written after reading ComfyUI 0.8.0 and 0.33.0
and refuse what those refuse; tests/comfyui asks the real one.
"""

from __future__ import annotations

from .loading import ComfyUI, Pack, load_pack
from .running import Listed, Refused, run

__all__ = ["ComfyUI", "Listed", "Pack", "Refused", "load_pack", "run"]
