"""The hash behind ``hashtextextended``, computed without PostgreSQL, so that digests can be checked from outside.

Bob Jenkins' lookup3 as PostgreSQL uses it on little-endian machines: three 32-bit words, mixed twelve bytes at a time.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_START = 0x9E3779B9 + 3923095
_BLOCK = 12
_SIGN = 1 << 63


def hash_text(text: str, seed: int) -> int:
    """The signed 64-bit hash of a text under a deterministic collation."""
    data = text.encode()
    a = b = c = (_START + len(data)) & _MASK
    if seed:
        a, b, c = _mix((a + (seed >> 32)) & _MASK, (b + seed) & _MASK, c)
    whole = len(data) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        x, y, z = (int.from_bytes(data[start + i : start + i + 4], "little") for i in (0, 4, 8))
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    tail = data[whole:].ljust(_BLOCK, b"\0")
    a = (a + int.from_bytes(tail[0:4], "little")) & _MASK
    b = (b + int.from_bytes(tail[4:8], "little")) & _MASK
    # The lowest byte of the last word is kept for the length.
    c = (c + (int.from_bytes(tail[8:11], "little") << 8)) & _MASK
    a, b, c = _final(a, b, c)
    number = (b << 32) | c
    return number - (1 << 64) if number & _SIGN else number


def _turn(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        # One step; the roles of the three words then move on.
        a = ((a - c) & _MASK) ^ _turn(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        # One step changes the third word by the second; the roles then move on.
        c = ((c ^ b) - _turn(b, bits)) & _MASK
        a, b, c = b, c, a
    # Seven steps leave the words one place on.
    return c, a, b
