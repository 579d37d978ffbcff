"""Damaged bundles, by kind: each is (what was done, the bytes, words of the message)."""

import copy
import json
import random
import struct

from edge.bundle_format import PAGE, Header, canonical, read_header, write_header
from edge.trust import BUNDLE_DOMAIN, write_signatures
from tests.bundle.conftest import parts, signer
from toolkit.bundle.build import build
from toolkit.bundle.keys import sign


def split(data):
    """Manifest (JSON) and signatures (bytes) of a good bundle, and where they end."""
    header = read_header(data[:32])
    middle = 32 + header.manifest
    return json.loads(data[32:middle]), data[middle : middle + header.signatures], middle


def sealed(manifest, body, signers=(1,), signatures=None):
    """A bundle of any manifest (JSON or bytes), signed by trusted keys; `body` begins at a page."""
    text = manifest if isinstance(manifest, bytes) else canonical(manifest)
    if signatures is None:
        signed = dict(sign(signer(seed), BUNDLE_DOMAIN + text) for seed in signers)
        signatures = write_signatures(signed)
    header = Header(len(text), len(signatures))
    head = write_header(header) + text + signatures
    return head.ljust(header.first_member, b"\0") + body


def flipped(data, position, bit):
    return b"".join((data[:position], bytes([data[position] ^ 1 << bit]), data[position + 1 :]))


def header_bits(data):
    for position in range(32):
        for bit in range(8):
            yield f"bit {bit} of byte {position}", flipped(data, position, bit), "."


def manifest_bits(data):
    _, _, middle = split(data)
    for position in range(32, middle, 4):
        yield (
            f"byte {position}",
            flipped(data, position, position // 4 % 8),
            "signature of key .* is",
        )


def signature_bits(data):
    _, signatures, middle = split(data)
    for position in range(middle, middle + len(signatures)):
        for bit in (0, 4, 7):
            words = "signature|does not trust"
            yield f"bit {bit} of byte {position}", flipped(data, position, bit), words


def member_bits(data):
    rng = random.Random(1)
    manifest, _, _ = split(data)
    for member in manifest["members"]:
        first, last = member["offset"], member["offset"] + member["size"] - 1
        for position in [first, last, *(rng.randint(first, last) for _ in range(30))]:
            words = f"member {member['name']} has another hash"
            yield f"byte {position}", flipped(data, position, rng.randrange(8)), words


def padding_bits(data):
    rng = random.Random(2)
    manifest, signatures, middle = split(data)
    end = middle + len(signatures)
    for member in manifest["members"]:
        last = member["offset"] - 1
        for position in [end, last, *(rng.randint(end, last) for _ in range(15))]:
            yield f"byte {position}", flipped(data, position, rng.randrange(8)), "padding before"
        end = member["offset"] + member["size"]


def truncations(data):
    manifest, signatures, middle = split(data)
    edges = {0, 8, 12, 16, 20, 32, middle, middle + len(signatures), len(data)}
    for member in manifest["members"]:
        edges |= {member["offset"], member["offset"] + member["size"]}
    lengths = {edge + near for edge in edges for near in range(-3, 4)}
    lengths |= set(range(0, len(data), 97))
    for length in sorted(length for length in lengths if 0 <= length < len(data)):
        yield f"cut to {length}", data[:length], "cut off"


def additions(data):
    for what, more in (("a byte", b"\0"), ("a page", bytes(PAGE)), ("itself", data)):
        yield f"{what} behind", data + more, "bytes too many after the last member"
        if more != data:
            yield f"{what} in front", more + data, "not a bundle"
    for position in range(0, len(data), PAGE // 2):
        yield f"a byte more at {position}", data[:position] + b"\0" + data[position:], "."
        yield f"a byte less at {position}", data[:position] + data[position + 1 :], "."


def pages(data):
    for begin in range(0, len(data), 512):
        part = data[begin : begin + 512]
        for what, put in (("zeroed", bytes(len(part))), ("full", b"\xff" * len(part))):
            if put != part:
                yield f"{what} at {begin}", data[:begin] + put + data[begin + 512 :], "."
    count = len(data) // PAGE
    for one in range(count):
        for two in range(one + 1, count):
            parts_ = [data[i * PAGE : (i + 1) * PAGE] for i in range(count)]
            parts_[one], parts_[two] = parts_[two], parts_[one]
            swapped = b"".join(parts_) + data[count * PAGE :]
            yield f"pages {one} and {two} swapped", swapped, "."


def header_lengths(data):
    lengths = (0, 1, 31, 4096, 1 << 16, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 32) - 1)
    for offset, words in ((12, "."), (16, ".")):
        for length in lengths:
            put = struct.pack("<I", length)
            yield f"{length} at {offset}", data[:offset] + put + data[offset + 4 :], words
    put = data[:8] + struct.pack("<I", 2) + data[12:]
    yield "format 2 over 1", put, "the header states format 2, the manifest 1"
    for number in (0, 3, 256, 1 << 24, (1 << 32) - 1):
        put = data[:8] + struct.pack("<I", number) + data[12:]
        yield (
            f"format {number}",
            put,
            f"format {number}; this edge reads formats 1 to 2\nupdate edge",
        )


def other_files(data):
    rng = random.Random(3)
    heads = (b"", b"PK\x03\x04", b"\x1c\0\0\0TFL3", b"\x7fELF", b"\x93NUMPY", b"{}", b"EDGEBNDX")
    for head in heads:
        for length in (0, 1, 24, 32, 5000):
            yield f"{head!r} and {length} bytes", head + rng.randbytes(length), "not a bun|cut off"
    for length in (0, 1, 12, 24, 40, 5000):
        yield f"magic and {length}", b"EDGEBNDL" + rng.randbytes(length), "cut off|format"


def several(data):
    """Several bytes anywhere; what is found first depends on where."""
    rng = random.Random(4)
    for index in range(250):
        changed = bytearray(data)
        for _ in range(rng.randint(2, 40)):
            changed[rng.randrange(len(data))] ^= rng.randint(1, 255)
        if changed != data:
            yield f"random {index}", bytes(changed), "."


NAMES = (
    "", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "C:x", "\\\\host\\x", "a\0b", "a\n", "\n",
    " a", "A", "ä", "-rf", ".hidden", "_a", "a" * 101, "a b", "~", "$x", "%2e%2e", "\u202ea", "a:b",
    None, 1, True, [], {}, ["a"],
)  # fmt: skip
NUMBERS = (
    -1, 0, 1, 31, 4095, 4097, 8193, 1 << 20, 1 << 31, 1 << 32, 1 << 63, 1 << 64, 10**300,
    -(1 << 63), 4096.0, 1e300, "4096", None, True, [], {},
)  # fmt: skip


def members(data):
    """Manifests with wrong members, signed by a trusted key."""
    good, _, _ = split(data)
    body = data[good["members"][0]["offset"] :]
    count = len(good["members"])
    for index in (0, 2, count - 1):
        for key, values, words in (
            ("name", NAMES, "manifest: members: the name|two are called"),
            ("offset", NUMBERS, "offset: expected|: at byte .* expected"),
            ("size", NUMBERS, "size: expected|at byte|cut off|too many|another hash"),
            ("sha256", ("", "00", "0" * 63, "0" * 64, "AB" * 32, None, 1), "sha256|another hash"),
            ("kind", ("", "Model", "code", None, 1, []), "kind: .* is not one of"),
        ):
            for value in values:
                manifest = copy.deepcopy(good)
                if manifest["members"][index][key] == value and value is not True:
                    continue
                manifest["members"][index][key] = value
                yield f"members[{index}].{key} = {value!r:.40}", sealed(manifest, body), words
    yield from _lists_of_members(good, body, count)


def _lists_of_members(good, body, count):
    for one in range(count):
        for two in range(count):
            manifest = copy.deepcopy(good)
            listed = manifest["members"]
            if one == two:  # left out, or twice
                del listed[one]
                yield (
                    f"without member {one}",
                    sealed(manifest, body),
                    "expected|names|at byte|too m",
                )
                continue
            listed[one]["offset"] = listed[two]["offset"]
            yield f"member {one} over {two}", sealed(manifest, body), "at byte .* expected"
            manifest = copy.deepcopy(good)
            manifest["members"][one]["name"] = manifest["members"][two]["name"]
            yield f"name {one} as {two}", sealed(manifest, body), "two are called"
            manifest = copy.deepcopy(good)
            listed = manifest["members"]
            listed[one], listed[two] = listed[two], listed[one]
            yield f"members {one} and {two} swapped", sealed(manifest, body), "at byte|in order"
            manifest = copy.deepcopy(good)
            for key in ("offset", "size"):
                a, b = manifest["members"][one], manifest["members"][two]
                a[key], b[key] = b[key], a[key]
            words = "at byte|cut off|too many|padding|hash"
            yield f"places of {one} and {two} swapped", sealed(manifest, body), words


def fields(data):
    """Manifests with a wrong or missing field, or of another form, signed by a trusted key."""
    good, _, _ = split(data)
    body = data[good["members"][0]["offset"] :]
    for key in good:
        manifest = {name: value for name, value in good.items() if name != key}
        yield f"without {key}", sealed(manifest, body), f"manifest: {key}: "
    for key in ("format", "name", "version", "created", "members", "models", "golden", "labels"):
        for value in (-1, 1.5, "", "../x", [], {}, [[]], [None], True):
            manifest = {**good, key: value}
            words = f"manifest: .*{key}|expected"
            yield f"{key} = {value!r}", sealed(manifest, body), words
    for key in ("member", "target", "precision", "framework", "manifest"):
        for value in (None, 1, "", "x", [], {}, "edge.pyz"):
            manifest = copy.deepcopy(good)
            manifest["models"][0][key] = value
            yield f"models[0].{key} = {value!r}", sealed(manifest, body), "manifest: models"
    text = canonical(good)
    for what, other in (
        ("a space", text[:1] + b" " + text[1:]),
        ("a newline", text + b"\n"),
        ("a key twice", b'{"created":1,' + text[1:]),
        ("a list", b"[]"),
        ("no JSON", text[:-1]),
        ("NaN", text[:-1] + b',"x":NaN}'),
        ("a long number", text[:-1] + b',"x":' + b"9" * 5000 + b"}"),
        ("deep", text[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ("bad UTF-8", text[:-1] + b',"x":"\xff"}'),
        ("a lone surrogate", text[:-1] + b',"x":"\\ud800"}'),
        ("UTF-16", text.decode().encode("utf-16")),
        ("a mark in front", b"\xef\xbb\xbf" + text),
    ):
        yield f"manifest with {what}", sealed(other, body), "manifest: "


def signatures(data):
    """Signatures that are missing, foreign, of other bytes or of another form."""
    good, kept, _ = split(data)
    body = data[good["members"][0]["offset"] :]
    text = canonical(good)

    def put(value):
        return sealed(good, body, signatures=value)

    yield "none", put(b""), "not signed\n"
    for seed, words in ((2, "retired"), (3, "revoked"), (4, "does not trust")):
        yield words, sealed(good, body, [seed]), words
    other = build(parts(version="1.0.4"), [signer(1)])
    yield "of another bundle", put(split(other)[1]), "signature of key .* is wrong"
    yield "with the manifest of another", sealed(split(other)[0], body, signatures=kept), "is wrong"
    keyid, sig = sign(signer(1), BUNDLE_DOMAIN + text)
    for what, message in (
        ("without its domain", text),
        ("in the domain of keys", b"edge-key-v1\0" + text),
        ("of the header too", data[:32] + text),
    ):
        yield what, put(write_signatures(dict([sign(signer(1), message)]))), "is wrong"
    yield (
        "of a foreign key under a known id",
        put(write_signatures({keyid: sign(signer(4), BUNDLE_DOMAIN + text)[1]})),
        "is wrong",
    )
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(sig[32:], "little") + order
    for what, changed in (
        ("S + L", sig[:32] + scalar.to_bytes(32, "little")),
        ("zero", bytes(64)),
        ("the identity", b"\1" + bytes(63)),
        ("swapped halves", sig[32:] + sig[:32]),
    ):
        yield f"signature {what}", put(write_signatures({keyid: changed})), "is wrong"
    for what, value in (
        ("a space", kept + b" "),
        ("a list", b"[]"),
        ("short", kept.replace(sig.hex().encode(), sig.hex()[:-2].encode())),
        ("upper case", kept.replace(keyid.encode(), keyid.upper().encode())),
        ("too many", write_signatures({f"{i:064x}": sig for i in range(17)})),
    ):
        yield f"signatures with {what}", put(value), "signatures: "


KINDS = (
    header_bits, manifest_bits, signature_bits, member_bits, padding_bits, truncations, additions,
    pages, header_lengths, other_files, several, members, fields, signatures,
)  # fmt: skip
