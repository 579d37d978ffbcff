"""The bundle stage: from a run whose files are verified to one signed file for devices."""

import datetime
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.bundle_entries import Tolerance
from edge.errors import EdgeError
from edge.manifest import Manifest
from toolkit.artifacts import Check, Export, Golden, files_hash, fixed_width
from toolkit.bundle.build import Attachment, BundleParts, ModelPart, build
from toolkit.bundle.vocabularies import moved
from toolkit.errors import CheckError, NotFoundError, ToolkitError, UsageError
from toolkit.recipe import Array
from toolkit.runs import Run
from toolkit.zipapp import edge_zipapp

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

_GOLDEN = 64  # samples that travel, at most: a device has no time for hundreds
_LEAST_GOLDEN, _MAX_TEXT_BYTES = 8, 1 << 20  # of samples that are texts
_SLACK = 1.5  # other kernels round integers otherwise: by so much the error may grow on a device
_PREFERRED = ("int8", "int8-float", "dynamic", "fp16", "fp32", "16x8")
_LEAST_LIMIT = {"fp32": 1e-4, "fp16": 1e-2}


@dataclass(frozen=True)
class Wanted:
    """What goes into a bundle.

    Attributes:
        framework: whose files, or None where the run has only one.
        precisions: in order of preference, or () for all that are there, the fastest first.
        version: of the model.
        license: text, or ''.
        allow_unverified: make it of files that did not pass, or were not verified.
    """

    framework: str | None
    precisions: tuple[str, ...] = ()
    version: str = "1.0.0"
    license: str = ""
    allow_unverified: bool = False


def bundle(run: Run, wanted: Wanted, signers: Sequence["Signer"]) -> tuple[str, bytes]:
    """A bundle's file name and content; the same run and key give the same bytes.

    Raises:
        NotFoundError: nothing fitting was exported.
        UsageError: the run has models of both frameworks, and none was chosen.
        CheckError: a file was not verified, failed, or was changed.
    """
    name, exports, passed = contents(run, wanted)
    checks = _checks(run)
    models, words = moved([_model(run, export, checks) for export in exports])
    parts = BundleParts(
        name=run.card.name,
        version=wanted.version,
        created=_created(run),
        models=models,
        runtime=edge_zipapp(),
        golden=golden_arrays(run.golden(exports[0].framework)),
        verified=passed,
        verification={"checks": [_told(c) for c in checks if _is_of(c, exports)]},
        lineage=_lineage(run, exports),
        attachments=(*_attachments(run, wanted), *words),
    )
    try:
        return name, build(parts, signers)
    except EdgeError as error:
        raise UsageError(f"run {run.name} cannot be bundled: {error}") from error


def contents(run: Run, wanted: Wanted) -> tuple[str, list[Export], bool]:
    """A bundle's file name, the files that go into it, and whether all of them passed.

    Raises:
        ToolkitError: as `bundle` does.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", wanted.version):
        raise UsageError(f"version {wanted.version!r}: give letters, digits, '.', '+' and '-'")
    exports, checks = _chosen(run, wanted), _checks(run)
    failed = [export for export in exports if not _passed(export, checks)]
    if failed and not wanted.allow_unverified:
        raise CheckError(
            f"{Path(failed[0].file).name} has no passing verification; run toolkit verify --run "
            f"{run.name}, or give --allow-unverified, which the bundle then says"
        )
    return f"{run.card.name}-{wanted.version}.edge", exports, not failed


def golden_arrays(golden: Golden) -> dict[str, Array]:
    """The first golden vectors by member name, as a bundle takes them.

    Fewer where texts are long, since each takes the longest's room there.
    """
    head = {name: fixed_width(array[:_GOLDEN]) for name, array in golden.inputs.items()}
    widest = max(array.itemsize if array.dtype.kind == "U" else 1 for array in head.values())
    count = max(_LEAST_GOLDEN, min(_GOLDEN, _MAX_TEXT_BYTES // widest))
    arrays = {f"inputs.{name}": array[:count] for name, array in head.items()}
    return arrays | {f"outputs.{name}": array[:count] for name, array in golden.outputs.items()}


def _chosen(run: Run, wanted: Wanted) -> list[Export]:
    """The wanted files, the preferred ones first."""
    usable = [export for export in run.exports if export.target in ("tflite", "onnx")]
    frameworks = sorted({export.framework for export in usable})
    if wanted.framework is None and len(frameworks) > 1:
        raise UsageError(
            f"run {run.name} has files of {' and '.join(frameworks)}; choose with --framework: the "
            "golden vectors of a bundle are one model's"
        )
    framework = wanted.framework or next(iter(frameworks), "")
    found = [export for export in usable if export.framework == framework]
    if wanted.precisions:
        order = wanted.precisions.index
        found = [export for export in found if export.precision in wanted.precisions]
        found.sort(key=lambda export: (order(export.precision), export.bytes))
    else:
        found.sort(key=lambda export: (_PREFERRED.index(export.precision), export.bytes))
    if not found:
        raise NotFoundError(
            f"run {run.name} has no fitting .tflite or .onnx file; export first: toolkit export"
        )
    return found


def _checks(run: Run) -> list[Check]:
    verification = run.verification
    return [Check(**row) for row in verification["checks"]] if verification else []


def _passed(export: Export, checks: Sequence[Check]) -> bool:
    own = [check for check in checks if check.file == export.file]
    return bool(own) and all(check.passed and check.sha256 == export.sha256 for check in own)


def _is_of(check: Check, exports: Sequence[Export]) -> bool:
    return any(check.file == export.file for export in exports)


def _told(check: Check) -> dict[str, Any]:
    kept = ("file", "runtime", "passed", "error", "kept", "metric", "drop", "samples", "reason")
    return {name: getattr(check, name) for name in kept}


def _model(run: Run, export: Export, checks: Sequence[Check]) -> ModelPart:
    content = run.read(export.file)
    if files_hash({"": content}) != export.sha256:
        raise CheckError(f"{export.file} was changed after export; export it again")
    manifest = _manifest(export, content)
    own = [check for check in checks if check.file == export.file and check.error is not None]
    error = max((check.error or 0.0 for check in own), default=None)
    least = _LEAST_LIMIT.get(export.precision, 1e-2)
    limit = None if error is None else max(least, _SLACK * error)
    kept = min((check.kept for check in own if check.kept is not None), default=None)
    name = Path(export.file).name.lower()
    return ModelPart(name, content, manifest, Tolerance(error, limit, kept))


def _manifest(export: Export, content: bytes) -> Manifest:
    from edge.manifest_tflite import read_from_tflite

    try:
        found = read_from_tflite(content) if export.target == "tflite" else _of_onnx(content)
    except EdgeError as error:
        raise UsageError(f"{export.file}: {error}") from error
    if found is None:
        raise UsageError(
            f"{export.file} carries no manifest, as files that the toolkit made do; export it "
            "from its Keras or torch model"
        )
    return found


def _of_onnx(content: bytes) -> Manifest | None:
    import onnx

    from edge.manifest import ONNX_KEY

    props = onnx.load_model_from_string(content).metadata_props
    text = next((entry.value for entry in props if entry.key == ONNX_KEY), None)
    return None if text is None else Manifest.from_json(text)


def _created(run: Run) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal():
        return int(given)
    return int(datetime.datetime.fromisoformat(run.facts["created"]).timestamp())


def _lineage(run: Run, exports: Sequence[Export]) -> dict[str, Any]:
    facts = run.facts
    calibrations = sorted({export.calibration for export in exports} - {""})
    found = {
        "run": run.name,
        "recipe_sha256": facts.get("recipe", {}).get("sha256"),
        "model_sha256": facts.get("model", {}).get("sha256"),
        "data_sha256": facts.get("data", {}).get("sha256"),
        "calibration_sha256": calibrations,
        "versions": facts.get("versions"),
    }
    return {name: value for name, value in found.items() if value}


def _attachments(run: Run, wanted: Wanted) -> tuple[Attachment, ...]:
    found = []
    if run.card.labels:
        text = "".join(f"{label}\n" for label in run.card.labels)
        found.append(Attachment("labels.txt", "labels", text.encode()))
    if wanted.license:
        found.append(Attachment("license.txt", "license", wanted.license.encode()))
    lineage = json.dumps(_lineage(run, run.exports), indent=1, sort_keys=True)
    found.append(Attachment("lineage.json", "lineage", lineage.encode()))
    return tuple(found)


def passphrase_from(variable: str = "TOOLKIT_KEY_PASSPHRASE") -> bytes | None:
    """The passphrase of a private key, from the environment; None without one."""
    given = os.environ.get(variable)
    return given.encode() if given else None


def signers_of(paths: Sequence[Path]) -> list["Signer"]:
    """Signers of private key files.

    Raises:
        ToolkitError: one cannot be read or decrypted.
    """
    from toolkit.bundle.keys import load_signer

    try:
        return [load_signer(path, passphrase_from()) for path in paths]
    except EdgeError as error:
        raise ToolkitError(str(error)) from error
