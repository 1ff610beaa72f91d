"""PNG files without their texts and color profiles, which Pillow refuses to unpack where they are long."""

from __future__ import annotations

import io
import struct
from typing import IO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PASSED_OVER = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
_XMP = b"XML:com.adobe.xmp\0\0"  # uncompressed; it can say which way is up
_LONGEST_XMP = 1 << 20


def without_texts(file: IO[bytes]) -> io.BytesIO | None:
    """The PNG file without chunks that no pixel depends on; None if it is none, or has no such chunk.

    XMP stays unless it is long or compressed. Chunks: https://www.w3.org/TR/png-3/#11Chunks
    """
    file.seek(0)
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return None
    kept, dropped = io.BytesIO(), False
    kept.write(_SIGNATURE)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length + 4)  # with the checksum
        is_xmp = body.startswith(_XMP) and length <= _LONGEST_XMP
        if kind in _PASSED_OVER and not (kind == b"iTXt" and is_xmp):
            dropped = True
        else:
            kept.write(head + body)
    kept.seek(0)
    return kept if dropped else None
