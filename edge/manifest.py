"""The manifest: what a model is called, takes, answers and means, carried inside its file.

Where it lies in a .tflite file is told in manifest_tflite.py. An ONNX file carries the same JSON as
the metadata property `toolkit.manifest`; writing it there needs the onnx package and is left to the
toolkit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from edge import steps
from edge.decision import DECISIONS
from edge.depth import MOST, is_deeper
from edge.errors import InputError, ModelError
from edge.tensor import Tensor

FORMAT = 1
"""The newest format of the manifest that this code reads, and the one it writes."""

ONNX_KEY = "toolkit.manifest"
"""The metadata property of ONNX files."""
MEMBER = "manifest.json"
"""The file inside .tflite, .pt2 and .mar files."""
LIMIT = 1 << 20
"""Largest manifest that is read, in bytes: a file from elsewhere must not fill the memory."""

_REQUIRED = ("name", "framework", "target", "precision", "inputs", "outputs")
_OPTIONAL = ("preprocessing", "decision", "labels")
_WHERE_PRESENT = ("postprocessing",)  # left out where empty, so that old readers see no change


@dataclass(frozen=True)
class Manifest:
    """Checked when it is made; raises ModelError that names the wrong field.

    Law: `Manifest.from_json(m.to_json()) == m`, keys unknown to this code included.
    """

    name: str
    framework: str  # that trained the model: "tensorflow", "torch", ...
    target: str  # "tflite", "onnx", ...
    precision: str  # "fp32", "int8", ...
    inputs: tuple[Tensor, ...]  # axis 0 counts the samples
    outputs: tuple[Tensor, ...]  # the decision is about the first one
    preprocessing: Mapping[str, Sequence[steps.Step]] = field(default_factory=dict)  # by input
    decision: str = "value"
    labels: tuple[str, ...] | None = None  # of the classes, or of no and yes
    postprocessing: Sequence[steps.Step] = ()  # of the first output; the decision is about it raw
    extra: Mapping[str, Any] = field(default_factory=dict)  # further keys, kept as they are

    def __post_init__(self) -> None:
        for name in ("name", "framework", "target", "precision"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                _wrong(name, f"expected text, got {getattr(self, name)!r}")
        # Lists and tuples are made alike, so that a manifest equals its own round trip.
        put = object.__setattr__
        put(self, "inputs", _tensors("inputs", self.inputs))
        put(self, "outputs", _tensors("outputs", self.outputs))
        put(self, "preprocessing", _plain("preprocessing", self.preprocessing))
        put(self, "extra", _plain("extra", self.extra))
        put(self, "postprocessing", _plain("postprocessing", {"": self.postprocessing})[""])
        self._check_steps()
        if self.decision not in DECISIONS:
            _wrong("decision", f"{self.decision!r} is not one of {', '.join(DECISIONS)}")
        put(self, "labels", self._checked_labels())
        taken = sorted(set(self.extra) & {"format", *_REQUIRED, *_OPTIONAL, *_WHERE_PRESENT})
        if taken:
            _wrong("extra", f"{taken[0]!r} is a field of the manifest itself")

    def _check_steps(self) -> None:
        names = [tensor.name for tensor in self.inputs]
        for name, of_input in self.preprocessing.items():
            if name not in names:
                _wrong("preprocessing", f"{name!r} is not an input; inputs: {', '.join(names)}")
            try:
                steps.check(of_input)
            except InputError as error:
                _wrong(f"preprocessing.{name}", str(error), error)
        try:
            steps.check(self.postprocessing)
        except InputError as error:
            _wrong("postprocessing", str(error), error)

    def _checked_labels(self) -> tuple[str, ...] | None:
        labels = self.labels
        if labels is None:
            return None
        if not isinstance(labels, (list, tuple)) or not all(isinstance(x, str) for x in labels):
            _wrong("labels", f"expected a list of texts, got {labels!r}")
        shape = self.outputs[0].shape
        count = 2 if self.decision == "sign" else shape[-1] if shape else None
        if self.decision != "value" and count not in (None, len(labels)):
            _wrong("labels", f"{len(labels)} labels for {count} answers")
        return tuple(labels)

    def to_json(self) -> str:
        """As JSON text, ASCII only; raises ModelError if it is over LIMIT, which none reads."""
        value = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in (*_REQUIRED, *_OPTIONAL)},
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            **{name: getattr(self, name) for name in _WHERE_PRESENT if getattr(self, name)},
            **self.extra,
        }
        text = json.dumps(value, indent=1, allow_nan=False)
        if len(text) > LIMIT:
            raise ModelError(
                f"manifest: {len(text)} bytes, over the limit of {LIMIT}\n"
                "shorten what is long: labels, or the vocabulary of a tokenise step"
            )
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read JSON text; raises ModelError that names what is wrong."""
        value = _parse(text)
        _check_format(value.pop("format", None))
        for name in _REQUIRED:
            if name not in value:
                _wrong(name, "is missing")
        for side in ("inputs", "outputs"):
            if not isinstance(value[side], list):
                _wrong(side, f"expected a list, got {value[side]!r}")
            value[side] = [
                Tensor.from_json(item, f"manifest: {side}[{index}]")
                for index, item in enumerate(value[side])
            ]
        names = (*_REQUIRED, *_OPTIONAL, *_WHERE_PRESENT)
        known = {name: value.pop(name) for name in names if name in value}
        return cls(**known, extra=value)


def _wrong(name: str, problem: str, cause: Exception | None = None) -> NoReturn:
    raise ModelError(f"manifest: {name:.120}: {problem:.500}") from cause


def _plain(name: str, value: object) -> dict[str, Any]:
    """A copy of a JSON object, free of tuples, NaN and whatever JSON cannot say."""
    if not isinstance(value, Mapping):
        _wrong(name, f"expected an object, got {value!r}")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"manifest: {name}: not JSON: {error}") from error
    if is_deeper(copy, MOST - 2):  # the manifest that holds it must not be
        _wrong(name, f"nested more than {MOST - 2} times")
    return copy


def _tensors(name: str, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    names = [tensor.name for tensor in tensors]
    if not names:
        _wrong(name, "is empty")
    if len(set(names)) < len(names):
        _wrong(name, f"two have the same name: {', '.join(names)}")
    # Through JSON and back: a tensor that was made by hand is checked as one that was read.
    return tuple(
        Tensor.from_json(tensor.to_json(), f"manifest: {name}[{index}]")
        for index, tensor in enumerate(tensors)
    )


def _parse(text: str | bytes) -> dict[str, Any]:
    if len(text) > LIMIT:
        raise ModelError(f"manifest: {len(text)} bytes, over the limit of {LIMIT}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"manifest: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"manifest: expected a JSON object, got {type(value).__name__}")
    if is_deeper(value):
        raise ModelError(f"manifest: nested more than {MOST} times; export the model again")
    return value


def _check_format(number: object) -> None:
    if type(number) is not int or number < 1:
        _wrong("format", f"expected a number from 1 on, got {number!r}")
    if number > FORMAT:
        raise ModelError(
            f"manifest: format {number} is newer than {FORMAT}, the newest that is read here\n"
            "update edge on this device, or export the model with an older toolkit"
        )
