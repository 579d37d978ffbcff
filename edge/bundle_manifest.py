"""The manifest of a bundle as a whole: what it says of itself, and what holds between its entries.

It is made of JSON and keeps every key that this code does not know. Entries are in
bundle_entries.py. That the members really have these hashes is checked in bundle.py; what one model
takes and answers is in manifest.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.bundle_entries import (
    KINDS,
    GoldenEntry,
    Member,
    ModelEntry,
    read_golden,
    read_members,
    read_models,
    wrong,
)
from edge.bundle_format import FORMAT, MAX_MANIFEST, BundleError, align, canonical, read_canonical

_LEAST_FORMAT = {"vocabulary": 2}
"""Kind -> the first format that has it, where that is not 1."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_OBJECTS = ("verification", "lineage", "needs")


@dataclass(frozen=True)
class BundleManifest:
    """A checked manifest; `value` is all of its JSON, unknown keys included.

    Law: `BundleManifest.from_bytes(m.to_bytes()) == m`.
    """

    value: Mapping[str, Any]
    members: tuple[Member, ...]
    models: tuple[ModelEntry, ...]
    golden: GoldenEntry | None

    @property
    def name(self) -> str:
        """What the bundle is called; with the version it names the file."""
        return str(self.value["name"])

    @property
    def version(self) -> str:
        """The version of the model, as its maker counts."""
        return str(self.value["version"])

    @property
    def verified(self) -> bool:
        """Whether every model passed its verification before the bundle was made."""
        return bool(self.value["verified"])

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What the models' answers are called."""
        labels = self.value["labels"]
        return None if labels is None else tuple(labels)

    def to_bytes(self) -> bytes:
        """As canonical JSON; raises BundleError if it is over the limit."""
        data = canonical(self.value)
        if len(data) > MAX_MANIFEST:
            raise BundleError(
                f"manifest: {len(data)} bytes, over the limit of {MAX_MANIFEST}\n"
                "put long lists, such as labels or lineage, into a member of their own"
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> BundleManifest:
        """Read canonical JSON; raises BundleError that names the wrong field."""
        return cls.from_value(read_canonical(data, "manifest"))

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> BundleManifest:
        """Check JSON; raises BundleError that names the wrong field."""
        number = value.get("format")
        if type(number) is not int or not 1 <= number <= FORMAT:
            wrong("format", f"expected 1 to {FORMAT}, got {number!r:.120}")
        _check_facts(value)
        members = read_members(value.get("members"))
        by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for member in members:
            if number < _LEAST_FORMAT.get(member.kind, 1):
                wrong(f"members.{member.name}.kind", f"format {number} has no {member.kind}")
            by_kind[member.kind].append(member.name)
        models = read_models(value.get("models"), by_kind["model"])
        named = by_kind["vocabulary"] if number > 1 else [member.name for member in members]
        for model in models:
            _check_vocabularies(model, named)
            described = json.loads(model.manifest.to_json())
            for key in ("decision", "labels"):
                if described.get(key) != value.get(key):
                    wrong(key, f"model {model.member} states another one")
        golden = read_golden(value.get("golden"), by_kind["golden"], by_kind["model"])
        return cls(value, members, models, golden)


def check_layout(members: tuple[Member, ...], begin: int, size: int) -> None:
    """Every member begins at the first page after the one before; the last one ends the file.

    begin: where the header, the manifest and the signatures end, in bytes. size: of the file.

    Raises BundleError that names the member.
    """
    position = begin
    for member in members:
        if member.offset != align(position):
            raise BundleError(
                f"member {member.name}: at byte {member.offset}, expected {align(position)}\n"
                "copy the bundle again"
            )
        position = member.offset + member.size
        if position > size:
            raise BundleError(
                f"cut off: member {member.name} ends at byte {position}, the file at {size}\n"
                "copy the bundle again"
            )
    if position != size:
        raise BundleError(
            f"{size - position} bytes too many after the last member\ncopy the bundle again"
        )


def _check_facts(value: Mapping[str, Any]) -> None:
    for key in ("name", "version"):
        text = value.get(key)
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            wrong(key, f"expected up to 100 letters, digits and ._+-, got {text!r:.120}")
    created = value.get("created")
    if type(created) is not int or not 0 <= created < 1 << 53:
        wrong("created", f"expected seconds since 1970, got {created!r:.120}")
    if type(value.get("verified")) is not bool:
        wrong("verified", "expected true or false")
    for key in _OBJECTS:
        if not isinstance(value.get(key), dict):
            wrong(key, "expected an object")
    for key in ("golden", "decision", "labels"):
        if key not in value:
            wrong(key, "is missing")


def _check_vocabularies(model: ModelEntry, known: list[str]) -> None:
    for name, steps in model.manifest.preprocessing.items():
        for step in steps:
            named = step.get("vocabulary")
            if isinstance(named, dict) and named["member"] not in known:
                where = f"models.{model.member}.preprocessing.{name}"
                wrong(where, f"there is no vocabulary {named['member']}")
