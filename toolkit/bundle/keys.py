"""Keys that bundles are signed with: make, list, rotate, retire, revoke.

A private key is a PEM file (PKCS#8) that only its owner can read, encrypted if a passphrase is
given. The public ones are in a trust store, the JSON file that goes to the devices; its format and
the check of signatures are in edge/trust.py. Signing is securesystemslib's: any of its signers for
ed25519 will do, one in a hardware token or a cloud's key service too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge import _ed25519
from edge.trust import KEY_DOMAIN, TrustedKey, TrustStore
from toolkit.errors import NotFoundError, ToolkitError, UsageError, nearest
from toolkit.files import make_directory, storage_errors, write_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Signer

_SHORTEST_PREFIX = 8


def new(store: Path, private: Path, *, name: str = "", passphrase: bytes | None = None) -> str:
    """Make a key, write its private half to a new file, and trust it; returns its id.

    Args:
        store: the trust store; it is made if it does not exist.
        private: the file to make, with mode 0600.
        name: for people: who has it.
        passphrase: to encrypt the private half with.

    Raises:
        UsageError: `private` exists; a key is never overwritten.
        edge.bundle_format.TrustError: the store is damaged.
        StorageError: a file cannot be written.
    """
    known = read_store(store) if store.exists() else TrustStore()
    key = TrustedKey(_make(private, passphrase), name=name)
    write_store(store, known, key)
    return key.keyid


def rotate(
    store: Path,
    old: CryptoSigner | Signer,
    private: Path,
    *,
    name: str = "",
    passphrase: bytes | None = None,
) -> str:
    """Make a key that takes over from an old one, which signs it; returns the new key's id.

    The old key stays trusted until `set_state(store, old, "retired")`, so that devices have time to
    learn the new one.

    Raises:
        UsageError: the old key is not an active one of the store, or `private` exists.
        edge.bundle_format.TrustError: the store is damaged.
    """
    known = read_store(store)
    keyid = key_id(old)
    if keyid not in known.keys or known.keys[keyid].state != "active":
        raise UsageError(
            f"key {keyid[:16]} is not an active key of {store}; rotate with one that is: "
            + (
                ", ".join(i[:16] for i, key in known.keys.items() if key.state == "active")
                or "none"
            )
        )
    public = _make(private, passphrase)
    _, signature = sign(old, KEY_DOMAIN + public)
    key = TrustedKey(public, name=name, endorsement=(keyid, signature.hex()))
    write_store(store, known, key)
    return key.keyid


def set_state(store: Path, key: str, state: str) -> str:
    """Make a key "retired" or "revoked" for good; returns its id.

    Args:
        store: the trust store.
        key: its id, or the first 8 or more digits of it.
        state: "retired" or "revoked".

    Raises:
        NotFoundError: there is no such key, or more than one.
        UsageError: it is revoked already, or the state is another one.
        edge.bundle_format.TrustError: the store is damaged.
    """
    if state not in ("retired", "revoked"):
        raise UsageError(f"a key cannot be made {state!r}: only retired or revoked")
    known = read_store(store)
    found = [keyid for keyid in known.keys if keyid.startswith(key)]
    if len(found) != 1 or len(key) < _SHORTEST_PREFIX:
        raise NotFoundError(
            f"{len(found)} keys of {store} begin with {key!r}; give {_SHORTEST_PREFIX} or more "
            f"digits of one; {nearest(key, (keyid[:16] for keyid in known.keys))}"
        )
    old = known.keys[found[0]]
    if old.state == "revoked":
        raise UsageError(f"key {old.keyid[:16]} is revoked already, and stays so")
    write_store(store, known, dataclasses.replace(old, state=state))
    return old.keyid


def read_store(path: Path) -> TrustStore:
    """The trust store of a file, its endorsements checked.

    Raises:
        NotFoundError: there is no such file.
        edge.bundle_format.TrustError: it is damaged.
    """
    if not path.exists():
        raise NotFoundError(f"{path} does not exist; make a key first: toolkit keys new")
    store = TrustStore.read(path)
    store.check_endorsements()
    return store


def write_store(path: Path, known: TrustStore, key: TrustedKey) -> None:
    """Write the keys of `known` and `key`, which replaces an older state of itself."""
    keys = {**known.keys, key.keyid: key}
    make_directory(path.parent)
    write_bytes(path, TrustStore(keys).to_json().encode())


def load_signer(private: Path, passphrase: bytes | None = None) -> CryptoSigner:
    """The signer of a private key file.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is no ed25519 key, or the passphrase is missing or wrong.
        ToolkitError: securesystemslib is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        key = load_pem_private_key(private.read_bytes(), passphrase)
    except OSError as error:
        raise NotFoundError(f"cannot read {private}: {error.strerror}") from error
    except TypeError as error:  # encrypted and no passphrase given, or the other way round
        raise UsageError(f"{private}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{private}: no private key in PEM, or a wrong passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{private}: not an ed25519 key; make one: toolkit keys new")
    return CryptoSigner(key)


def key_id(signer: Signer) -> str:
    """The id of a signer's key in trust stores and bundles.

    Raises:
        UsageError: it is not an ed25519 key.
    """
    return hashlib.sha256(_public(signer)).hexdigest()


def sign(signer: Signer, message: bytes) -> tuple[str, bytes]:
    """The key's id and its signature (64 bytes), checked by the code that devices run.

    Raises:
        UsageError: it is not an ed25519 key.
        ToolkitError: the signature does not hold.
    """
    signature = bytes.fromhex(signer.sign(message).signature)
    if not _ed25519.verify(_public(signer), message, signature):
        raise ToolkitError(
            f"the signature of key {key_id(signer)[:16]} does not hold; devices would refuse it"
        )
    return key_id(signer), signature


def _public(signer: Signer) -> bytes:
    key = signer.public_key
    if key.keytype != "ed25519":
        raise UsageError(f"bundles are signed with ed25519 keys, not {key.keytype}")
    return bytes.fromhex(key.keyval["public"])


def _make(path: Path, passphrase: bytes | None) -> bytes:
    """Write a new private key; returns the public half."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise _not_installed(error) from error
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )
    make_directory(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} exists; choose another name for the new key") from error
    except OSError as error:
        raise ToolkitError(f"cannot write {path}: {error.strerror}") from error
    with storage_errors(path), os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return key.public_key().public_bytes_raw()


def _not_installed(error: ImportError) -> ToolkitError:
    return ToolkitError(
        f"{error}; keys need securesystemslib and cryptography: "
        "pip install 'edge-deployment-toolkit[bundle]'"
    )
