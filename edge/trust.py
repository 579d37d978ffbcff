"""Who may sign bundles: a store of public keys, and the check of a bundle's signatures.

The store is a JSON file on the device. A key's id is the sha256 of its 32 bytes. A key is `active`;
or `retired`, after a newer one took over; or `revoked`, when its private half may be known to
others. Only an active key counts: without a clock that can be trusted, a signature cannot prove
that it is older than the day its key was retired. Making keys is left to the toolkit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import _ed25519
from edge.bundle_format import MAX_SIGNATURES, TrustError, canonical, is_hex, read_canonical
from edge.depth import MOST, is_deeper
from edge.hashes import sha256

FORMAT = 1
STATES = ("active", "retired", "revoked")

BUNDLE_DOMAIN = b"edge-bundle-v1\0"
"""Signed in front of a manifest, so that a signature over anything else never counts as one."""

KEY_DOMAIN = b"edge-key-v1\0"
"""Signed, in a rotation, by the old key in front of the 32 bytes of the new one."""

_LIMIT = 1 << 20
_NEXT = {
    "retired": "get the bundle that its maker signed with a newer key",
    "revoked": "do not use this bundle; get it again from its maker",
}


@dataclass(frozen=True)
class TrustedKey:
    """One public key of the store; checked when it is made, raises TrustError.

    endorsement  the id of the key that this one replaces, and that key's signature (hex) over
                 KEY_DOMAIN and the 32 bytes of this key.
    """

    public: bytes
    state: str = "active"
    name: str = ""
    endorsement: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not _ed25519.is_key(self.public):
            raise TrustError("trust store: not an ed25519 public key; add the key again")
        if self.state not in STATES:
            raise TrustError(
                f"trust store: state {self.state!r:.120} of a key is not one of {', '.join(STATES)}"
            )

    @property
    def keyid(self) -> str:
        """The sha256 of the key, as 64 hexadecimal digits."""
        return str(sha256(self.public).hexdigest())

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        value: dict[str, Any] = {
            "keyid": self.keyid,
            "public": self.public.hex(),
            "state": self.state,
            "name": self.name,
        }
        if self.endorsement:
            value["endorsement"] = dict(zip(("keyid", "sig"), self.endorsement))
        return value


@dataclass(frozen=True)
class TrustStore:
    """The keys that a device knows, by id.

    Law: `TrustStore.from_json(s.to_json()) == s`.
    """

    keys: Mapping[str, TrustedKey] = field(default_factory=dict)

    @classmethod
    def of(cls, *keys: TrustedKey) -> TrustStore:
        """A store of these keys."""
        return cls({key.keyid: key for key in keys})

    def to_json(self) -> str:
        """As JSON text that people can read."""
        keys = [key.to_json() for key in self.keys.values()]
        return json.dumps({"format": FORMAT, "keys": keys}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> TrustStore:
        """Read JSON text; raises TrustError that names what is wrong.

        Endorsements are left to `check_endorsements`: who can write this file decides anyway.
        """
        value = _parse(text)
        keys = [_key(item, f"keys[{index}]") for index, item in enumerate(value["keys"])]
        store = cls.of(*keys)
        if len(store.keys) < len(keys):
            raise TrustError("trust store: the same key is there twice; remove one")
        return store

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TrustStore:
        """Read a file; raises TrustError that begins with its path."""
        try:
            with Path(path).open("rb") as file:
                text = file.read(_LIMIT + 1)
        except OSError as error:
            raise TrustError(f"{path}: {error.strerror}\nname the file of trusted keys") from error
        try:
            return cls.from_json(text)
        except TrustError as error:
            raise TrustError(f"{path}: {error}") from error

    def check(self, signatures: bytes, manifest: bytes) -> tuple[str, ...]:
        """The ids of the keys whose signatures over a bundle's manifest hold.

        Signatures of unknown keys are passed over, so that a bundle can be signed by an old and a
        new key while devices learn the new one. A wrong signature of a known key is an error.

        Raises TrustError if there is none by an active key, or one is wrong.
        """
        found = read_signatures(signatures)
        known = {keyid: self.keys[keyid] for keyid in found if keyid in self.keys}
        if not known:
            names = ", ".join(keyid[:16] for keyid in found) or "nobody"
            raise TrustError(
                f"signed by {names}, whom this device does not trust\n"
                "add the key if you know its owner, or get the bundle from its maker"
            )
        for keyid, key in known.items():
            if not _ed25519.verify(key.public, BUNDLE_DOMAIN + manifest, found[keyid]):
                raise TrustError(
                    f"the signature of key {keyid[:16]} is wrong: the manifest was changed or "
                    "damaged\ncopy the bundle again"
                )
        active = tuple(keyid for keyid, key in known.items() if key.state == "active")
        if not active:
            key = max(known.values(), key=lambda key: STATES.index(key.state))
            raise TrustError(f"signed by key {key.keyid[:16]}, {key.state}\n{_NEXT[key.state]}")
        return active

    def check_endorsements(self) -> None:
        """Raise TrustError unless every endorsement is by a key of this store, and holds."""
        for keyid, key in self.keys.items():
            if key.endorsement is None:
                continue
            by, signature = key.endorsement
            endorser = self.keys.get(by)
            message = KEY_DOMAIN + key.public
            if endorser is None or not _ed25519.verify(
                endorser.public, message, bytes.fromhex(signature)
            ):
                raise TrustError(
                    f"trust store: key {keyid[:16]} says that key {by[:16]} endorsed it, which "
                    "does not hold\nremove it, or restore the file"
                )


def read_signatures(data: bytes) -> dict[str, bytes]:
    """The signatures (64 bytes) of a bundle by key id; raises TrustError for any other form."""
    value = read_canonical(data, "signatures", TrustError)
    listed = value.get("signatures")
    if set(value) != {"signatures"} or not isinstance(listed, list) or not listed:
        raise TrustError("signatures: expected a list\ncopy the bundle again")
    if len(listed) > MAX_SIGNATURES:
        raise TrustError(
            f"signatures: {len(listed)}, over the limit of {MAX_SIGNATURES}\n"
            "sign it with fewer keys"
        )
    found: dict[str, bytes] = {}
    for item in listed:
        if (
            not isinstance(item, dict)
            or set(item) != {"keyid", "sig"}
            or not is_hex(item["keyid"], 32)
            or not is_hex(item["sig"], 64)
        ):
            raise TrustError("signatures: expected keyid and sig\ncopy the bundle again")
        found[item["keyid"]] = bytes.fromhex(item["sig"])
    if list(found) != sorted(item["keyid"] for item in listed):
        raise TrustError("signatures: not in the order of their keys\ncopy the bundle again")
    return found


def write_signatures(signatures: Mapping[str, bytes]) -> bytes:
    """Law: `read_signatures(write_signatures(s)) == s`; the empty mapping is not signed: b""."""
    if not signatures:
        return b""
    listed = [{"keyid": keyid, "sig": sig.hex()} for keyid, sig in sorted(signatures.items())]
    return canonical({"signatures": listed})


def _parse(text: str | bytes) -> dict[str, Any]:
    if len(text) > _LIMIT:
        raise TrustError(f"trust store: over the limit of {_LIMIT} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrustError(f"trust store: not JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise TrustError("trust store: expected an object with a list of keys")
    if is_deeper(value):
        raise TrustError(f"trust store: nested more than {MOST} times; restore the file")
    if value.get("format") != FORMAT:
        raise TrustError(
            f"trust store: format {value.get('format')!r:.120}; this edge reads {FORMAT}\n"
            "update edge"
        )
    return value


def _key(item: Any, where: str) -> TrustedKey:
    if not isinstance(item, dict) or not is_hex(item.get("public"), 32):
        raise TrustError(f"trust store: {where}: expected an object with a public key")
    key = TrustedKey(
        bytes.fromhex(item["public"]),
        item.get("state", ""),
        str(item.get("name", "")),
        _endorsement(item.get("endorsement"), where),
    )
    if item.get("keyid") != key.keyid:
        raise TrustError(f"trust store: {where}: the keyid is not the sha256 of the key")
    return key


def _endorsement(value: Any, where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    if (
        not isinstance(value, dict)
        or not is_hex(value.get("keyid"), 32)
        or not is_hex(value.get("sig"), 64)
    ):
        raise TrustError(f"trust store: {where}.endorsement: expected keyid and sig")
    return value["keyid"], value["sig"]
