"""The manifest of a bundle: which members there are, and what they mean.

It is made of JSON and keeps every key that this code does not know. That the members really have
these hashes is checked in bundle.py; what one model takes and answers is in manifest.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from edge.bundle_format import (
    FORMAT,
    HEADER_BYTES,
    MAX_FILE,
    MAX_MANIFEST,
    MAX_MEMBERS,
    BundleError,
    align,
    canonical,
    is_hex,
    read_canonical,
)
from edge.errors import ModelError
from edge.manifest import Manifest

KINDS = ("model", "golden", "labels", "license", "lineage", "runtime", "vocabulary")
_LEAST_FORMAT = {"vocabulary": 2}
"""Kind -> the first format that has it, where that is not 1."""

_MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_OBJECTS = ("verification", "lineage", "needs")


@dataclass(frozen=True)
class Member:
    """One file inside the bundle; `offset` and `size` in bytes."""

    name: str
    offset: int
    size: int
    sha256: str
    kind: str


@dataclass(frozen=True)
class ModelEntry:
    """One model of the bundle; all of them give the same answers, each within its tolerance."""

    member: str
    target: str
    precision: str
    framework: str
    manifest: Manifest


@dataclass(frozen=True)
class Tolerance:
    """How far a model's file was from the trained model when it was exported.

    error      greatest difference on the golden vectors, divided by the reference's range.
    limit      the most that `error` was allowed to be; None where no limit is set.
    agreement  share of the golden samples with the trained model's answer, 0 to 1.
    """

    error: float | None
    limit: float | None
    agreement: float | None


@dataclass(frozen=True)
class GoldenEntry:
    """The member with the golden vectors, and the tolerance of each model by its member's name."""

    member: str
    tolerances: Mapping[str, Tolerance]


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
            _wrong("format", f"expected 1 to {FORMAT}, got {number!r:.120}")
        _check_facts(value)
        members = _members(value.get("members"))
        by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for member in members:
            if number < _LEAST_FORMAT.get(member.kind, 1):
                _wrong(f"members.{member.name}.kind", f"format {number} has no {member.kind}")
            by_kind[member.kind].append(member.name)
        models = _models(value.get("models"), by_kind["model"])
        named = by_kind["vocabulary"] if number > 1 else [member.name for member in members]
        for model in models:
            _check_vocabularies(model, named)
            described = json.loads(model.manifest.to_json())
            for key in ("decision", "labels"):
                if described.get(key) != value.get(key):
                    _wrong(key, f"model {model.member} states another one")
        golden = _golden(value.get("golden"), by_kind["golden"], by_kind["model"])
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


def _wrong(name: str, problem: str) -> NoReturn:
    raise BundleError(f"manifest: {name}: {problem}\nmake the bundle again")


def _check_facts(value: Mapping[str, Any]) -> None:
    for key in ("name", "version"):
        text = value.get(key)
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            _wrong(key, f"expected up to 100 letters, digits and ._+-, got {text!r:.120}")
    created = value.get("created")
    if type(created) is not int or not 0 <= created < 1 << 53:
        _wrong("created", f"expected seconds since 1970, got {created!r:.120}")
    if type(value.get("verified")) is not bool:
        _wrong("verified", "expected true or false")
    for key in _OBJECTS:
        if not isinstance(value.get(key), dict):
            _wrong(key, "expected an object")
    for key in ("golden", "decision", "labels"):
        if key not in value:
            _wrong(key, "is missing")


def _items(name: str, value: object, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """A list of objects with at least these keys."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MEMBERS:
        _wrong(name, f"expected a list of 1 to {MAX_MEMBERS}")
    for index, item in enumerate(value):
        if not isinstance(item, dict) or not set(keys) <= set(item):
            _wrong(f"{name}[{index}]", f"expected an object with {', '.join(keys)}")
    return value


def _members(value: object) -> tuple[Member, ...]:
    keys = ("name", "offset", "size", "sha256", "kind")
    members = []
    for item in _items("members", value, keys):
        member = Member(*(item[key] for key in keys))
        if not isinstance(member.name, str) or not _MEMBER_NAME.fullmatch(member.name):
            _wrong(
                "members",
                f"the name {member.name!r:.120} is not up to 100 of a-z 0-9 . _ - with a "
                "letter or digit first",
            )
        where = f"members.{member.name}"
        for key, least in (("offset", HEADER_BYTES), ("size", 1)):
            number = item[key]
            if type(number) is not int or not least <= number <= MAX_FILE:
                _wrong(f"{where}.{key}", f"expected {least} to {MAX_FILE}, got {number!r:.120}")
        if not is_hex(member.sha256, 32):
            _wrong(f"{where}.sha256", "expected 64 hexadecimal digits")
        if member.kind not in KINDS:
            _wrong(f"{where}.kind", f"{member.kind!r:.120} is not one of {', '.join(KINDS)}")
        members.append(member)
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            _wrong("members", f"two are called {name}")
    return tuple(members)


def _models(value: object, members: list[str]) -> tuple[ModelEntry, ...]:
    models = []
    for item in _items("models", value, ("member", "target", "precision", "framework", "manifest")):
        where = f"models.{item['member']!s:.100}"
        try:
            manifest = Manifest.from_json(json.dumps(item["manifest"]))
        except ModelError as error:
            step = "" if "\n" in str(error) else "\nmake the bundle again"
            raise BundleError(f"manifest: {where}: {error}{step}") from error
        for key in ("target", "precision", "framework"):
            if item[key] != getattr(manifest, key):
                _wrong(f"{where}.{key}", f"the model's own manifest says {getattr(manifest, key)}")
        models.append(
            ModelEntry(
                item["member"], item["target"], item["precision"], item["framework"], manifest
            )
        )
    if [model.member for model in models] != members:
        _wrong("models", f"expected one for each member of kind model, in order: {members}")
    return tuple(models)


def _check_vocabularies(model: ModelEntry, known: list[str]) -> None:
    for name, steps in model.manifest.preprocessing.items():
        for step in steps:
            named = step.get("vocabulary")
            if isinstance(named, dict) and named["member"] not in known:
                where = f"models.{model.member}.preprocessing.{name}"
                _wrong(where, f"there is no vocabulary {named['member']}")


def _golden(value: object, members: list[str], models: list[str]) -> GoldenEntry | None:
    if value is None:
        if members:
            _wrong("golden", f"is null, but there is the member {members[0]}")
        return None
    if not isinstance(value, dict) or [value.get("member")] != members:
        _wrong("golden", "expected an object that names the one member of kind golden")
    tolerances = value.get("tolerances")
    if not isinstance(tolerances, dict) or sorted(tolerances) != sorted(models):
        _wrong("golden.tolerances", "expected one for each model")
    read = {name: _tolerance(item, name) for name, item in tolerances.items()}
    return GoldenEntry(members[0], read)


def _tolerance(item: object, name: str) -> Tolerance:
    keys = ("error", "limit", "agreement")
    if not isinstance(item, dict) or not set(keys) <= set(item):
        _wrong(f"golden.tolerances.{name}", f"expected an object with {', '.join(keys)}")
    for key in keys:
        number, most = item[key], 1.0 if key == "agreement" else 1e300
        if number is not None and (type(number) not in (int, float) or not 0 <= number <= most):
            _wrong(
                f"golden.tolerances.{name}.{key}", f"expected null or a number, got {number!r:.120}"
            )
    return Tolerance(*(item[key] for key in keys))
