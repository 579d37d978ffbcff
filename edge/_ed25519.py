"""Verify Ed25519 signatures (RFC 8032), and nothing else: it makes no keys and signs nothing.

A device has no `cryptography` wheel, and securesystemslib needs Python 3.10 and takes signatures
whose S is not below the group's order. This one is strict: S and both points must be in their only
encoding, and a public key of small order, for which anyone can make signatures, is refused. Every
argument is public, so the time it takes gives nothing away. About 3 ms on a desktop.
"""

from __future__ import annotations

from edge.hashes import sha512

SIGNATURE_BYTES = 64
KEY_BYTES = 32

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)  # of -1

# (x, y, z, x * y) in extended coordinates: the point is (x / z, y / z)
_Point = tuple[int, int, int, int]
_IDENTITY: _Point = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature (64 bytes) over the message is by the key of `public` (32 bytes)."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key = _decode(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _ORDER or _is_small(key):
        return False
    digest = sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    # R = scalar * base - challenge * key. Comparing bytes also refuses other encodings of R.
    return _encode(_two_products(scalar, _BASE, challenge, _negative(key))) == signature[:32]


def is_key(public: bytes) -> bool:
    """Whether these bytes are a public key that `verify` can accept signatures of."""
    point = _decode(public) if len(public) == KEY_BYTES else None
    return point is not None and not _is_small(point)


def _decode(data: bytes) -> _Point | None:
    """The point, or None if the bytes are not the one encoding of a point on the curve."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * v**3 * pow(u * v**7, (_P - 5) // 8, _P) % _P  # the root of u / v, if it has one
    if (v * x * x + u) % _P == 0:
        x = x * _ROOT % _P
    if (v * x * x - u) % _P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    number = (y * inverse % _P) | ((x * inverse % _P & 1) << 255)
    return number.to_bytes(32, "little")


def _add(one: _Point, two: _Point) -> _Point:
    """RFC 8032, 5.1.4; complete: right for every pair of points on the curve."""
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _double(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e, g = h - (x + y) * (x + y) % _P, a - b
    f = 2 * z * z % _P + g
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _two_products(first: int, one: _Point, second: int, two: _Point) -> _Point:
    """Return first * one + second * two, with the doublings shared."""
    table = (_IDENTITY, one, two, _add(one, two))
    result = _IDENTITY
    for bit in range(max(first.bit_length(), second.bit_length()) - 1, -1, -1):
        result = _double(result)
        chosen = (first >> bit & 1) | (second >> bit & 1) << 1
        if chosen:
            result = _add(result, table[chosen])
    return result


def _negative(point: _Point) -> _Point:
    x, y, z, product = point
    return (_P - x, y, z, _P - product)


def _is_small(point: _Point) -> bool:
    """Whether eight times the point is the identity."""
    x, y, z, _ = _double(_double(_double(point)))
    return x % _P == 0 and (y - z) % _P == 0


def _base() -> _Point:
    point = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE = _base()
