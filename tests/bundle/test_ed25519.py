"""The device's Ed25519 against RFC 8032, against `cryptography`, and against forgers."""

import hashlib
import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import _ed25519
from edge._ed25519 import verify

ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19

# RFC 8032, 7.1: secret key, public key, message, signature (bytes.fromhex skips the space)
RFC = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970 1cf9b46bd25bf5f0595bbe24655141438e7a100b",  # noqa: E501
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613 d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",  # noqa: E501
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760 984dc6594a7c15e9716ed28dc027beceea1ec40a",  # noqa: E501
    ),
]

# All encodings of the points whose order divides 8, the non-canonical ones included.
SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def made(seed, message):
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return key.public_key().public_bytes_raw(), key.sign(message)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC)
def test_the_vectors_of_rfc_8032(secret, public, message, signature):
    public, message, signature = map(bytes.fromhex, (public, message, signature))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert key.public_key().public_bytes_raw() == public
    assert key.sign(message) == signature
    assert verify(public, message, signature)
    assert not verify(public, message + b"\0", signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
@settings(max_examples=60, deadline=None)
def test_takes_what_cryptography_signs_and_no_bit_else(secret, message, bit):
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert _ed25519.is_key(public)
    assert verify(public, message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(public, message, bytes(changed))


def test_says_what_cryptography_says_of_random_bytes():
    rng = random.Random(5)
    for _ in range(200):
        public, signature = rng.randbytes(32), rng.randbytes(64)
        with pytest.raises((InvalidSignature, ValueError)):
            Ed25519PublicKey.from_public_bytes(public).verify(signature, b"m")
        assert not verify(public, b"m", signature)


@pytest.mark.parametrize("times", range(1, 16))
def test_a_scalar_has_one_encoding(times):
    public, signature = made(1, b"m")
    scalar = int.from_bytes(signature[32:], "little") + times * ORDER
    if scalar < 1 << 256:
        assert not verify(public, b"m", signature[:32] + scalar.to_bytes(32, "little"))
    assert times < 8 or scalar >= 1 << 255  # so the loop went past the top bits


@pytest.mark.parametrize("public", SMALL)
def test_keys_of_small_order_sign_nothing(public):
    public = bytes.fromhex(public)
    assert not _ed25519.is_key(public)
    # with the identity for R and 0 for S, an eighth or more of all messages would be signed
    for point in SMALL:
        for message in (b"a", b"b", b"c", b"d"):
            assert not verify(public, message, bytes.fromhex(point) + bytes(32))


def test_a_point_has_one_encoding():
    for y in range(P, 2**255):
        for sign in (0, 1):
            data = (y | sign << 255).to_bytes(32, "little")
            assert not _ed25519.is_key(data)


def test_r_of_small_order_in_another_encoding_is_refused():
    # The identity as R: S = challenge * secret then holds. Its other encodings must not.
    secret = hashlib.sha512(bytes([1]) * 32).digest()[:32]
    scalar = int.from_bytes(secret, "little") & ((1 << 254) - 8) | (1 << 254)
    public, _ = made(1, b"")
    for encoding, holds in ((SMALL[0], True), (SMALL[8], False), (SMALL[12], False)):
        r = bytes.fromhex(encoding)
        challenge = int.from_bytes(hashlib.sha512(r + public + b"m").digest(), "little")
        s = challenge * scalar % ORDER
        assert verify(public, b"m", r + s.to_bytes(32, "little")) == holds


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65, 128])
def test_wrong_lengths(length):
    public, signature = made(1, b"m")
    assert not verify(public, b"m", (signature * 2)[:length])
    assert not verify((public * 4)[: length + (length == 32)], b"m", signature)
