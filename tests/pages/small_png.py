"""Screenshots with a palette instead of true colour (PNG specification, third edition): a quarter of the size."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_COLOURS = 256


def smaller(png: bytes) -> bytes:
    """The same picture, of 8-bit RGB or RGBA without transparency: its 256 commonest colours as they are, the others as
    the nearest of these."""
    chunks = list(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    assert (depth, kind) in ((8, 2), (8, 6))
    channels = 3 if kind == 2 else 4
    data = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    lines = [_pixels(row, channels) for row in _rows(data, width, height, channels)]
    common = Counter(pixel for line in lines for pixel in line).most_common()
    colours = [colour for colour, _ in common[:_MOST_COLOURS]]
    places = {colour: place for place, colour in enumerate(colours)}
    places |= {colour: _nearest(colour, colours) for colour, _ in common[_MOST_COLOURS:]}
    body = b"".join(b"\0" + bytes(places[pixel] for pixel in line) for line in lines)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = b"".join(colours)
    parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _nearest(colour: bytes, colours: list[bytes]) -> int:
    distances = [sum(abs(one - other) for one, other in zip(colour, each, strict=True)) for each in colours]
    return distances.index(min(distances))


def _pixels(row: bytes, channels: int) -> list[bytes]:
    return [row[at : at + 3] for at in range(0, len(row), channels)]


def _rows(data: bytes, width: int, height: int, channels: int) -> Iterator[bytes]:
    """Undoes the filters (chapter 9)."""
    length = width * channels
    above = bytes(length)
    for index in range(height):
        start = index * (length + 1)
        row = bytearray(data[start + 1 : start + 1 + length])
        _unfilter(data[start], row, above, channels)
        above = bytes(row)
        yield above


def _unfilter(kind: int, row: bytearray, above: bytes, channels: int) -> None:
    for at in range(len(row)):
        left = row[at - channels] if at >= channels else 0
        if kind == 1:
            row[at] = (row[at] + left) & 255
        elif kind == 2:
            row[at] = (row[at] + above[at]) & 255
        elif kind == 3:
            row[at] = (row[at] + (left + above[at]) // 2) & 255
        elif kind == 4:
            row[at] = (row[at] + _paeth(left, above[at], above[at - channels] if at >= channels else 0)) & 255
        else:
            return


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[distances.index(min(distances))]
