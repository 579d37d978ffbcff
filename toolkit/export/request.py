"""What a user wants exported, and how the files are called."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from toolkit.artifacts import DEFAULT_OPSET, PRECISIONS, TARGETS, title_of
from toolkit.errors import UsageError, nearest

STATIC = ("int8", "int8-float", "16x8")
"""Precisions that need calibration samples."""

FURTHER_TARGETS = ("savedmodel", "pt2", "torchserve", "micro")
"""Targets that are made where they are asked for by name."""

_SOURCES = {  # target -> frameworks that have it
    "tflite": ("tf", "torch", "tflite"),
    "onnx": ("tf", "torch", "onnx"),
    "micro": ("tf", "torch", "tflite"),
    "savedmodel": ("tf",),
    "pt2": ("torch",),
    "torchserve": ("torch",),
}
_SUFFIX = {
    "tflite": ".tflite",
    "onnx": ".onnx",
    "pt2": ".pt2",
    "torchserve": ".mar",
    "savedmodel": "",
    "micro": "",
}


@dataclass(frozen=True)
class Request:
    """Which files to make.

    Attributes:
        targets: out of `toolkit.artifacts.TARGETS` and `FURTHER_TARGETS`.
        precisions: out of `toolkit.artifacts.PRECISIONS`.
        opset: ONNX operator set.
        batch: fixed batch size, or None for any where the converter can.
        layout: 'nchw' or 'nhwc' of image inputs, or '' for the model's own.
        io: 'float', or 'int8' for integers in and out of static int8 files.
    """

    targets: tuple[str, ...] = TARGETS
    precisions: tuple[str, ...] = ("fp32",)
    opset: int = DEFAULT_OPSET
    batch: int | None = None
    layout: str = ""
    io: str = "float"

    @classmethod
    def of(cls, targets: Sequence[str], precisions: Sequence[str], **form: Any) -> Self:
        """A request in a user's words: 'all', and nothing or None for the default."""
        wanted = PRECISIONS if "all" in precisions else tuple(precisions)
        return cls(
            targets=TARGETS if not targets or "all" in targets else tuple(dict.fromkeys(targets)),
            precisions=tuple(dict.fromkeys(wanted)) or ("fp32",),
            **{name: value for name, value in form.items() if value is not None},
        )

    def __post_init__(self) -> None:
        for what, given, known in (
            ("target", self.targets, (*TARGETS, *FURTHER_TARGETS)),
            ("precision", self.precisions, PRECISIONS),
            ("layout", (self.layout,), ("", "nchw", "nhwc")),
            ("io", (self.io,), ("float", "int8")),
        ):
            for name in given:
                if name not in known:
                    raise UsageError(f"there is no {what} {name!r}; {nearest(str(name), known)}")
        if self.io == "int8" and not self.static:
            raise UsageError("--io int8 needs --precision int8, int8-float or 16x8")

    @property
    def static(self) -> bool:
        """Whether one of the precisions needs calibration samples."""
        return bool(set(self.precisions) & set(STATIC))

    def check(self, frameworks: Sequence[str]) -> None:
        """Refuse what cannot be made from models of these frameworks.

        Raises:
            UsageError: no model has one of the targets, or a target has none of the precisions.
        """
        for target in self.targets:
            if not set(frameworks) & set(_SOURCES[target]):
                names = " or ".join(title_of(name) for name in _SOURCES[target])
                raise UsageError(
                    f"target {target!r} is made from a {names} model only; leave it out, or choose "
                    "another --framework"
                )
            if not self.precisions_of(target):
                raise UsageError(
                    f"target {target!r} has no precision {', '.join(self.precisions)}; "
                    f"it has {', '.join(_precisions(target))}"
                )

    def fitting(self, frameworks: Sequence[str]) -> Self:
        """Without the targets that none of these frameworks has."""
        had = tuple(t for t in self.targets if set(frameworks) & set(_SOURCES[t]))
        return dataclasses.replace(self, targets=had or self.targets)

    def cells(self, frameworks: Sequence[str]) -> list[tuple[str, str]]:
        """Pairs of framework and target that can be made."""
        return [
            (framework, target)
            for framework in frameworks
            for target in self.targets
            if framework in _SOURCES[target]
        ]

    def precisions_of(self, target: str) -> tuple[str, ...]:
        """The wanted precisions that a target has."""
        return tuple(name for name in self.precisions if name in _precisions(target))

    def file_name(self, model: str, framework: str, target: str, precision: str) -> str:
        """Says whatever changes the content."""
        parts = [model, framework, precision]
        parts += [f"b{self.batch}"] if self.batch else []
        parts += [self.layout] if self.layout else []
        parts += ["int8io"] if self.io == "int8" and precision in STATIC else []
        parts += [f"opset{self.opset}"] if target == "onnx" and framework != "onnx" else []
        parts += [target] if target in ("savedmodel", "micro") else []
        return "-".join(parts) + _SUFFIX[target]


def _precisions(target: str) -> tuple[str, ...]:
    match target:
        case "tflite":
            return PRECISIONS
        case "micro":  # TFLM runs no hybrid kernels
            return ("fp32", "int8", "16x8")
        case "onnx":
            return tuple(name for name in PRECISIONS if name != "16x8")
        case _:
            return ("fp32",)
