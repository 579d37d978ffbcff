"""Making and rotating keys."""

import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from securesystemslib.signer import CryptoSigner

from edge.trust import TrustError, TrustStore
from tests.bundle.conftest import parts
from toolkit.bundle import keys
from toolkit.bundle.build import build
from toolkit.errors import NotFoundError, UsageError


@pytest.fixture
def place(tmp_path):
    """A trust store that does not exist yet, and a folder for private keys."""
    return tmp_path / "trust" / "keys.json", tmp_path / "private"


def test_a_new_key_signs_what_its_store_trusts(place, opened):
    store, private = place
    keyid = keys.new(store, private / "a.pem", name="build server")
    data = build(parts(), [keys.load_signer(private / "a.pem")])
    assert opened(data, TrustStore.read(store)).signed_by == (keyid,)
    assert TrustStore.read(store).keys[keyid].name == "build server"
    assert stat.S_IMODE((private / "a.pem").stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(place):
    store, private = place
    keys.new(store, private / "a.pem")
    before = (private / "a.pem").read_bytes(), store.read_bytes()
    with pytest.raises(UsageError, match=r"a\.pem exists"):
        keys.new(store, private / "a.pem")
    assert ((private / "a.pem").read_bytes(), store.read_bytes()) == before


def test_a_passphrase(place):
    store, private = place
    keyid = keys.new(store, private / "a.pem", passphrase=b"open sesame")
    assert b"ENCRYPTED PRIVATE KEY" in (private / "a.pem").read_bytes()
    assert keys.key_id(keys.load_signer(private / "a.pem", b"open sesame")) == keyid
    with pytest.raises(UsageError, match="wrong passphrase"):
        keys.load_signer(private / "a.pem", b"wrong")
    with pytest.raises(UsageError, match=r"Password was not given"):
        keys.load_signer(private / "a.pem")


def test_rotation(place, opened):
    store, private = place
    old = keys.new(store, private / "old.pem")
    before = TrustStore.read(store)
    signers = [keys.load_signer(private / "old.pem")]
    new = keys.rotate(store, signers[0], private / "new.pem", name="2027")
    signers.append(keys.load_signer(private / "new.pem"))
    both = build(parts(), signers)
    assert opened(both, before).signed_by == (old,)
    assert set(opened(both, keys.read_store(store)).signed_by) == {old, new}
    assert keys.set_state(store, old[:8], "retired") == old
    after = keys.read_store(store)
    assert after.keys[new].endorsement[0] == old
    assert opened(both, after).signed_by == (new,)
    with pytest.raises(TrustError, match="retired"):
        opened(build(parts(), signers[:1]), after)
    with pytest.raises(UsageError, match=f"not an active key .* {new[:16]}"):
        keys.rotate(store, signers[0], private / "third.pem")
    assert not (private / "third.pem").exists()


def test_revocation_is_for_good(place, opened):
    store, private = place
    keyid = keys.new(store, private / "a.pem")
    data = build(parts(), [keys.load_signer(private / "a.pem")])
    assert keys.set_state(store, keyid, "revoked") == keyid
    with pytest.raises(TrustError, match="revoked"):
        opened(data, TrustStore.read(store))
    for state in ("revoked", "retired"):
        with pytest.raises(UsageError, match="revoked already"):
            keys.set_state(store, keyid, state)
    with pytest.raises(UsageError, match="'active'"):
        keys.set_state(store, keyid, "active")


def test_which_key_is_meant(place):
    store, private = place
    with pytest.raises(NotFoundError, match="make a key first"):
        keys.set_state(store, "00000000", "revoked")
    keyid = keys.new(store, private / "a.pem")
    for prefix in (keyid[:7], "", "0" * 64):
        with pytest.raises(NotFoundError, match=f"{keyid[:16]}"):
            keys.set_state(store, prefix, "revoked")


def test_what_is_no_key_to_sign_with(tmp_path):
    with pytest.raises(NotFoundError, match="No such file"):
        keys.load_signer(tmp_path / "none.pem")
    path = tmp_path / "some.pem"
    path.write_text("no key")
    with pytest.raises(UsageError, match="no private key in PEM"):
        keys.load_signer(path)
    other = generate_private_key(SECP256R1())
    path.write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(UsageError, match="not an ed25519 key"):
        keys.load_signer(path)
    with pytest.raises(UsageError, match="not ecdsa"):
        build(parts(), [CryptoSigner(other)])


def test_a_store_with_a_forged_rotation_is_refused(place):
    store, private = place
    old = keys.new(store, private / "old.pem")
    keys.rotate(store, keys.load_signer(private / "old.pem"), private / "new.pem")
    signature = next(
        k.endorsement[1] for k in TrustStore.read(store).keys.values() if k.endorsement
    )
    store.write_text(store.read_text().replace(signature, "00" * 64))
    with pytest.raises(TrustError, match=f"key {old[:16]} endorsed it"):
        keys.read_store(store)
