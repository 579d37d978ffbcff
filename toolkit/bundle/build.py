"""From the parts of a bundle to its bytes; gathering the parts from a run is left to others.

Law: the same parts and the same key give the same bytes, and `edge.bundle.Bundle.open` reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edge import bundle_format, golden, trust
from edge.bundle_entries import Tolerance
from edge.bundle_manifest import BundleManifest
from edge.manifest import Manifest
from toolkit.bundle.keys import key_id, sign
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

GOLDEN_MEMBER = "golden.npz"
RUNTIME_MEMBER = "edge.pyz"

Content = tuple[str, str, bytes]
"""Name, kind and content of a member."""


@dataclass(frozen=True)
class ModelPart:
    """One model file.

    Attributes:
        name: of the member, such as "double-fp32.tflite".
        content: of the file.
        manifest: the description that the file carries.
        tolerance: measured on the golden vectors at export; None in a bundle without them.
    """

    name: str
    content: bytes
    manifest: Manifest
    tolerance: Tolerance | None = None


@dataclass(frozen=True)
class Attachment:
    """A further file; `kind` is "labels", "license", "lineage" or "vocabulary"."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class BundleParts:
    """Everything that is in a bundle. Decision and labels come from the models' manifests.

    Attributes:
        name: what it is called, and
        version: of the model; both name the file.
        created: seconds since 1970, from a fact of the run or SOURCE_DATE_EPOCH, never the clock.
        models: the one that a device should prefer first.
        runtime: the zipapp of `zipapp.edge_zipapp`.
        golden: raw inputs and expected outputs, by name; None where there are none.
        verified: whether every model passed its verification.
        verification: which runtimes ran how many samples, and what was found.
        lineage: where it comes from: run, recipe_sha256, data_sha256, calibration_sha256, tools.
        needs: what a device must have.
        attachments: licence texts, files of lineage, lists of labels for people, vocabularies
            that the models' manifests name.
    """

    name: str
    version: str
    created: int
    models: tuple[ModelPart, ...]
    runtime: bytes
    golden: Mapping[str, np.ndarray[Any, Any]] | None = None
    verified: bool = False
    verification: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


def build(parts: BundleParts, signers: Sequence[Signer] = ()) -> bytes:
    """The bytes of a bundle, signed by each of the signers; unsigned without any.

    Raises:
        edge.bundle_format.BundleError: the parts do not make a bundle; names the field.
        ToolkitError: a signer's signature is not one that devices accept.
    """
    contents = _contents(parts)
    header = _header(parts, contents, signers)
    manifest = _manifest(parts, contents, header.first_member).to_bytes()
    signed = dict(sign(signer, trust.BUNDLE_DOMAIN + manifest) for signer in signers)
    head = bundle_format.write_header(header) + manifest + trust.write_signatures(signed)
    size = header.first_member + sum(bundle_format.align(len(item[2])) for item in contents)
    if size > bundle_format.MAX_FILE:
        raise ToolkitError(
            f"the bundle {parts.name} would have {size} bytes, over the limit of "
            f"{bundle_format.MAX_FILE}; put fewer models into it"
        )
    return b"".join(_padded(head, contents))


def _header(
    parts: BundleParts, contents: Sequence[Content], signers: Sequence[Signer]
) -> bundle_format.Header:
    """The lengths. Where members begin depends on the manifest's length, and it states where."""
    placeholder = {key_id(signer): bytes(64) for signer in signers}
    signatures = len(trust.write_signatures(placeholder))
    first = bundle_format.PAGE
    while True:  # ends: a later first member never makes the manifest shorter
        manifest = _manifest(parts, contents, first).to_bytes()
        header = bundle_format.Header(len(manifest), signatures, _format(parts))
        if header.first_member == first:
            return header
        first = header.first_member


def _contents(parts: BundleParts) -> list[Content]:
    """Every member, in order.

    The runtime is last: Python finds a zipapp at the end of a file, so `python NAME.edge` runs it.
    """
    contents = [(model.name, "model", model.content) for model in parts.models]
    if parts.golden is not None:
        contents.append((GOLDEN_MEMBER, "golden", golden.write_arrays(parts.golden)))
    contents += [(item.name, item.kind, item.content) for item in parts.attachments]
    contents.append((RUNTIME_MEMBER, "runtime", parts.runtime))
    return contents


def _manifest(parts: BundleParts, contents: Sequence[Content], first: int) -> BundleManifest:
    described = [json.loads(model.manifest.to_json()) for model in parts.models]
    value = {
        "format": _format(parts),
        "name": parts.name,
        "version": parts.version,
        "created": parts.created,
        "members": list(_members(contents, first)),
        "models": [
            {"member": model.name, "manifest": manifest}
            | {key: manifest[key] for key in ("target", "precision", "framework")}
            for model, manifest in zip(parts.models, described, strict=True)
        ],
        "golden": _golden(parts),
        "decision": described[0].get("decision") if described else None,
        "labels": described[0].get("labels") if described else None,
        "verified": parts.verified,
        "verification": dict(parts.verification),
        "lineage": dict(parts.lineage),
        "needs": dict(parts.needs),
    }
    try:
        plain = json.loads(bundle_format.canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise bundle_format.BundleError(f"manifest: not JSON: {error}") from error
    return BundleManifest.from_value(plain)


def _format(parts: BundleParts) -> int:
    """The least format that has what the parts need: old devices read what they can."""
    texts = any(array.dtype.kind == "U" for array in (parts.golden or {}).values())
    return 2 if texts or any(item.kind == "vocabulary" for item in parts.attachments) else 1


def _members(contents: Sequence[Content], first: int) -> Iterator[dict[str, Any]]:
    offset = first
    for name, kind, content in contents:
        digest = hashlib.sha256(content).hexdigest()
        size = len(content)
        yield {"name": name, "kind": kind, "offset": offset, "size": size, "sha256": digest}
        offset = bundle_format.align(offset + size)


def _golden(parts: BundleParts) -> dict[str, Any] | None:
    if parts.golden is None:
        return None
    tolerances = {
        model.name: asdict(model.tolerance) for model in parts.models if model.tolerance is not None
    }
    return {"member": GOLDEN_MEMBER, "tolerances": tolerances}


def _padded(head: bytes, contents: Sequence[Content]) -> Iterator[bytes]:
    position = len(head)
    yield head
    for _, _, content in contents:
        yield bytes(bundle_format.align(position) - position)
        yield content
        position = bundle_format.align(position) + len(content)
