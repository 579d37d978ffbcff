"""Whose signatures count."""

import json
from dataclasses import replace

import pytest

from edge.trust import BUNDLE_DOMAIN, TrustError, TrustStore, read_signatures, write_signatures
from tests.bundle.conftest import signer, trusted
from toolkit.bundle.keys import key_id, sign

MANIFEST = b'{"any":"bytes"}'


def signed(*seeds, message=BUNDLE_DOMAIN + MANIFEST):
    return write_signatures(dict(sign(signer(seed), message) for seed in seeds))


def test_the_store_round_trips(store):
    endorsed = replace(trusted(5), endorsement=(key_id(signer(1)), "ab" * 64))
    whole = TrustStore({**store.keys, endorsed.keyid: endorsed})
    assert TrustStore.from_json(whole.to_json()) == whole


def test_signatures_round_trip():
    found = {"b" * 64: b"2" * 64, "a" * 64: b"1" * 64}
    assert read_signatures(write_signatures(found)) == found
    assert write_signatures({}) == b""


def test_an_active_key_counts_and_others_are_passed_over(store):
    one = key_id(signer(1))
    assert store.check(signed(1), MANIFEST) == (one,)
    assert store.check(signed(1, 4), MANIFEST) == (one,)
    assert store.check(signed(1, 2), MANIFEST) == (one,)
    assert store.check(signed(1, 3), MANIFEST) == (one,)


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((2,), "retired\nget the bundle that its maker signed with a newer key"),
        ((3,), "revoked\ndo not use this bundle"),
        ((2, 3), "revoked"),
        ((4,), "whom this device does not trust\nadd the key"),
    ],
)
def test_who_does_not_count(store, seeds, words):
    with pytest.raises(TrustError, match=words):
        store.check(signed(*seeds), MANIFEST)


def test_a_wrong_signature_of_a_known_key_is_an_error_beside_a_good_one(store):
    both = read_signatures(signed(1, 2))
    both[key_id(signer(2))] = bytes(64)
    with pytest.raises(TrustError, match="is wrong"):
        store.check(write_signatures(both), MANIFEST)


def test_a_signature_of_something_else_does_not_count(store):
    for message in (MANIFEST, b"edge-key-v1\0" + MANIFEST, b"edge-bundle-v2\0" + MANIFEST):
        with pytest.raises(TrustError, match="is wrong"):
            store.check(signed(1, message=message), MANIFEST)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"signatures":[]}',
        b'{"signatures":[{}]}',
        b'{"signatures":{}}',
        b'{"signatures":[{"keyid":"00","sig":"00"}]}',
        b'{"signatures": []}',
        b"\xff",
        b"[" * 60000,
        b'{"more":1,' + signed(1)[1:],
        signed(1) + b"\n",
        signed(1).replace(b'"sig":"', b'"sig":"00'),
        signed(1).upper(),
        write_signatures({f"{i:064x}": bytes(64) for i in range(17)}),
    ],
)
def test_signatures_in_any_other_form(store, text):
    with pytest.raises(TrustError, match="signatures: "):
        store.check(text, MANIFEST)


def test_signatures_out_of_order_or_twice(store):
    listed = json.loads(signed(1, 4))["signatures"]
    for wrong in (listed[::-1], listed + listed[1:]):
        text = json.dumps({"signatures": wrong}, separators=(",", ":")).encode()
        with pytest.raises(TrustError, match="order of their keys"):
            store.check(text, MANIFEST)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2; this edge reads 1"),
        ({"keys": None}, "list of keys"),
        ({"keys": [1]}, r"keys\[0\]"),
        ({"public": "00" * 32}, "not an ed25519 public key"),
        ({"public": "AB" * 32}, "with a public key"),
        ({"state": "trusted"}, "'trusted' of a key is not one of"),
        ({"state": None}, "None of a key is not one of"),
        ({"keyid": "00" * 32}, "not the sha256"),
        ({"endorsement": 1}, "endorsement"),
        ({"endorsement": {"keyid": "00" * 32, "sig": ""}}, "endorsement"),
    ],
)
def test_a_wrong_store(change, words):
    value = json.loads(TrustStore.of(trusted(1)).to_json())
    (value if set(change) & set(value) else value["keys"][0]).update(change)
    with pytest.raises(TrustError, match=words):
        TrustStore.from_json(json.dumps(value))


def test_a_store_that_is_no_json_or_holds_a_key_twice(tmp_path):
    with pytest.raises(TrustError, match="not JSON"):
        TrustStore.from_json(b"{")
    with pytest.raises(TrustError, match="over the limit"):
        TrustStore.from_json(b" " * (1 << 20) + b"{}")
    value = json.loads(TrustStore.of(trusted(1)).to_json())
    value["keys"] *= 2
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(value))
    with pytest.raises(TrustError, match=rf"{path}: trust store: the same key is there twice"):
        TrustStore.read(path)
    with pytest.raises(TrustError, match="No such file"):
        TrustStore.read(tmp_path / "none.json")


def test_deep_nesting_in_a_store_or_in_signatures_is_an_error(store):
    value = json.loads(store.to_json())
    value["keys"][0]["state"] = "DEEP"
    for depth in (200, 900):
        deep = "[" * depth + "]" * depth
        with pytest.raises(TrustError, match="nested more than") as raised:
            TrustStore.from_json(json.dumps(value).replace('"DEEP"', deep))
        with pytest.raises(TrustError, match="nested more than"):
            read_signatures(b'{"signatures":' + deep.encode() + b"}")
    value["keys"][0]["state"] = "x" * 100_000
    with pytest.raises(TrustError, match="state 'xxx") as raised:
        TrustStore.from_json(json.dumps(value))
    assert len(str(raised.value)) < 1000


def test_endorsements_must_hold():
    new = trusted(5)
    keyid, good = sign(signer(1), b"edge-key-v1\0" + new.public)
    endorsed = replace(new, endorsement=(keyid, good.hex()))
    TrustStore.of(trusted(1), endorsed).check_endorsements()
    other = replace(trusted(6), endorsement=(keyid, good.hex()))
    for store in (TrustStore.of(endorsed), TrustStore.of(trusted(1), other)):
        with pytest.raises(TrustError, match="endorsed it, which does not hold"):
            store.check_endorsements()
