"""What an inspection found, as a value, as JSON and as lines of text."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge.manifest import Manifest

_SHOWN = 10


@dataclass(frozen=True)
class Port:
    """An input or output of the file itself.

    Attributes:
        shape: sizes, None where free.
        quantization: (scale, zero point) where its integers stand for float32, or None.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    quantization: tuple[float, int] | None = None

    def __str__(self) -> str:
        sizes = ", ".join("n" if size is None else str(size) for size in self.shape)
        if self.quantization is None:
            return f"{self.name} {self.dtype}[{sizes}]"
        scale, zero_point = self.quantization
        return f"{self.name} {self.dtype}[{sizes}], scale {scale:.6g}, zero point {zero_point}"


@dataclass(frozen=True)
class Large:
    """One of the largest tensors; `kind` is 'constant' or 'activation'."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    kind: str


@dataclass(frozen=True)
class Inspection:
    """A model file's content. Free axes count as 1 everywhere but in `inputs` and `outputs`.

    Attributes:
        format: 'onnx' or 'tflite'.
        bytes: size of the file.
        manifest: what the toolkit wrote into it, or None.
        needs: what a runtime must have, by name: for ONNX 'opset', 'ir_version', 'onnxruntime' and
            further operator sets as 'opset DOMAIN'; for TFLite 'schema' and, where the file says
            it, 'min_runtime_version'; 'custom_operators' where there are some.
        operators: how often each occurs, bodies of loops and branches included.
        parameters: learned numbers; shapes, indices and quantisation scales are none.
        constants: bytes in the file by dtype, all constants included.
        parameters_by_dtype: learned numbers by dtype.
        macs: multiply-accumulates of convolutions, matrix products and recurrent layers in one
            run; a TFLite loop counts as often as its counter says, any other once.
        uncounted: operators of that kind whose shapes are unknown.
        largest: up to 10 tensors.
        activation_bytes: estimated peak of what lives between operators.
        memory_bytes: that and the constants; the runtime itself comes on top.
        unknown: activations of unknown shape, which count as nothing.
    """

    name: str
    format: str
    bytes: int
    manifest: Manifest | None
    needs: Mapping[str, int | str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: Mapping[str, int]
    parameters: int
    constants: Mapping[str, int]
    parameters_by_dtype: Mapping[str, int]
    macs: int
    uncounted: int
    largest: tuple[Large, ...]
    activation_bytes: int
    memory_bytes: int
    unknown: int

    def to_json(self) -> dict[str, Any]:
        """As plain data for `json.dumps`."""
        manifest = None if self.manifest is None else json.loads(self.manifest.to_json())
        shallow = {key: value for key, value in vars(self).items() if key != "manifest"}
        ports = {
            side: [asdict(port) | {"shape": list(port.shape)} for port in shallow.pop(side)]
            for side in ("inputs", "outputs")
        }
        largest = [asdict(large) | {"shape": list(large.shape)} for large in shallow.pop("largest")]
        return {**shallow, **ports, "largest": largest, "manifest": manifest}

    def lines(self) -> list[str]:
        """For people."""
        needs = ", ".join(f"{name} {value}" for name, value in self.needs.items())
        lines = [
            f"{self.name}: {self.format}, {size(self.bytes)}",
            f"needs       {needs}",
            *_listed("inputs", map(str, self.inputs)),
            *_listed("outputs", map(str, self.outputs)),
            f"parameters  {self.parameters:,}"
            + _parenthesis(f"{n:,} {dtype}" for dtype, n in self.parameters_by_dtype.items()),
            f"constants   {size(sum(self.constants.values()))}"
            + _parenthesis(f"{size(n)} {dtype}" for dtype, n in self.constants.items()),
            f"MACs        {self.macs:,}"
            + (f" (without {self.uncounted} operators of unknown shape)" if self.uncounted else ""),
            f"memory      about {size(self.memory_bytes)}, {size(self.activation_bytes)} of it "
            "activations, without the runtime"
            + (f" and {self.unknown} activations of unknown shape" if self.unknown else ""),
            *_listed("operators", (f"{n} {op}" for op, n in self.operators.items())),
            *_listed("largest", (f"{size(large.bytes)} {large.name}" for large in self.largest)),
        ]
        return lines + self._manifest_lines()

    def _manifest_lines(self) -> list[str]:
        found = self.manifest
        if found is None:
            return ["manifest    none"]
        lines = [
            f"manifest    {found.name}, {found.framework}, {found.target}, {found.precision}",
            *_listed("  takes", map(str, found.inputs)),
            *_listed("  answers", map(str, found.outputs)),
            f"  decides   {found.decision}",
        ]
        for name, steps in found.preprocessing.items():
            lines += _listed(f"  {name}", map(_step, steps))
        lines += _listed("  after", map(_step, found.postprocessing))
        if found.labels is not None:
            more = f" and {len(found.labels) - _SHOWN} more" if len(found.labels) > _SHOWN else ""
            lines.append(f"  labels    {', '.join(found.labels[:_SHOWN])}{more}")
        return lines + [f"  {key}  {json.dumps(value)}" for key, value in found.extra.items()]


def size(count: int) -> str:
    """Bytes for people: '932 B', '12.3 kB', '4.0 MB'."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def _listed(title: str, items: Any) -> list[str]:
    """One line an item, the title before the first."""
    texts = list(items)
    return [f"{title if index == 0 else '':<12}{text}" for index, text in enumerate(texts)]


def _step(step: Mapping[str, Any]) -> str:
    """A step as JSON, with a long vocabulary cut off."""
    tokens = step.get("vocabulary")
    if isinstance(tokens, list) and len(tokens) > _SHOWN:
        step = {**step, "vocabulary": [*tokens[:_SHOWN], f"... {len(tokens) - _SHOWN} more"]}
    return json.dumps(dict(step))


def _parenthesis(items: Any) -> str:
    text = ", ".join(items)
    return f" ({text})" if text else ""
