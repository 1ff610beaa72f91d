"""Files beside pictures that people expect to be captioned and that cannot be read, by how their names end."""

from __future__ import annotations

from collections.abc import Mapping

from .source import picture_extensions

_FORMATS = 'pip install "image-interrogator[formats]" reads them'
_CONVERT = "save them as JPEG or PNG"
_VIDEO = "videos are not captioned; save the frames you want as pictures"
_LATENTS = "latents that a trainer has stored"

_REMEDIES: Mapping[str, str] = {
    ending: what
    for endings, what in (
        (".heic .heif .hif .jxl", _FORMATS),
        (".avif .svg .eps .ai .kra .xcf .clip .psb .exr .hdr .jxr", _CONVERT),
        (".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw", _CONVERT),
        (".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .flv .3gp .m2ts .mts .ogv", _VIDEO),
        (".npz", _LATENTS),
    )
    for ending in endings.split()
}


def unread_ending(key: str) -> str:
    """How the name of a file ends that is a picture or video which cannot be read, lower case; "" of all others."""
    ending = "." + key[key.rfind(".") + 1 :].lower()
    return ending if ending in _REMEDIES and ending not in picture_extensions() else ""


def remedy(ending: str) -> str:
    """What to do about files of an ending, a few words."""
    return _REMEDIES[ending]
