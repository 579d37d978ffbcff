"""What a bundle's manifest lists: its members, its models, and how far these may be off.

Each is read from JSON and checked on its own; what holds between them is in bundle_manifest.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from edge.bundle_format import HEADER_BYTES, MAX_FILE, MAX_MEMBERS, BundleError, is_hex
from edge.errors import ModelError
from edge.manifest import Manifest

KINDS = ("model", "golden", "labels", "license", "lineage", "runtime", "vocabulary")

_MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


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


def read_members(value: object) -> tuple[Member, ...]:
    """The list `members`; raises BundleError that names the wrong field."""
    keys = ("name", "offset", "size", "sha256", "kind")
    members = []
    for item in _items("members", value, keys):
        member = Member(*(item[key] for key in keys))
        if not isinstance(member.name, str) or not _MEMBER_NAME.fullmatch(member.name):
            wrong(
                "members",
                f"the name {member.name!r:.120} is not up to 100 of a-z 0-9 . _ - with a "
                "letter or digit first",
            )
        where = f"members.{member.name}"
        for key, least in (("offset", HEADER_BYTES), ("size", 1)):
            number = item[key]
            if type(number) is not int or not least <= number <= MAX_FILE:
                wrong(f"{where}.{key}", f"expected {least} to {MAX_FILE}, got {number!r:.120}")
        if not is_hex(member.sha256, 32):
            wrong(f"{where}.sha256", "expected 64 hexadecimal digits")
        if member.kind not in KINDS:
            wrong(f"{where}.kind", f"{member.kind!r:.120} is not one of {', '.join(KINDS)}")
        members.append(member)
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            wrong("members", f"two are called {name}")
    return tuple(members)


def read_models(value: object, members: list[str]) -> tuple[ModelEntry, ...]:
    """The list `models`, one for each of `members`, in order; raises BundleError."""
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
                wrong(f"{where}.{key}", f"the model's own manifest says {getattr(manifest, key)}")
        models.append(
            ModelEntry(
                item["member"], item["target"], item["precision"], item["framework"], manifest
            )
        )
    if [model.member for model in models] != members:
        wrong("models", f"expected one for each member of kind model, in order: {members}")
    return tuple(models)


def read_golden(value: object, members: list[str], models: list[str]) -> GoldenEntry | None:
    """The entry `golden`, or None; raises BundleError that names the wrong field."""
    if value is None:
        if members:
            wrong("golden", f"is null, but there is the member {members[0]}")
        return None
    if not isinstance(value, dict) or [value.get("member")] != members:
        wrong("golden", "expected an object that names the one member of kind golden")
    tolerances = value.get("tolerances")
    if not isinstance(tolerances, dict) or sorted(tolerances) != sorted(models):
        wrong("golden.tolerances", "expected one for each model")
    read = {name: _tolerance(item, name) for name, item in tolerances.items()}
    return GoldenEntry(members[0], read)


def _tolerance(item: object, name: str) -> Tolerance:
    keys = ("error", "limit", "agreement")
    if not isinstance(item, dict) or not set(keys) <= set(item):
        wrong(f"golden.tolerances.{name}", f"expected an object with {', '.join(keys)}")
    for key in keys:
        number, most = item[key], 1.0 if key == "agreement" else 1e300
        if number is not None and (type(number) not in (int, float) or not 0 <= number <= most):
            wrong(
                f"golden.tolerances.{name}.{key}", f"expected null or a number, got {number!r:.120}"
            )
    return Tolerance(*(item[key] for key in keys))


def _items(name: str, value: object, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """A list of objects with at least these keys."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MEMBERS:
        wrong(name, f"expected a list of 1 to {MAX_MEMBERS}")
    for index, item in enumerate(value):
        if not isinstance(item, dict) or not set(keys) <= set(item):
            wrong(f"{name}[{index}]", f"expected an object with {', '.join(keys)}")
    return value


def wrong(name: str, problem: str) -> NoReturn:
    """Raise BundleError about a field."""
    raise BundleError(f"manifest: {name}: {problem}\nmake the bundle again")
