"""The header of a model for TensorFlow Lite Micro: what it takes, answers and needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.export.micro_model import End, MicroModel
from toolkit.export.micro_text import (
    C_TYPES,
    as_json,
    braces,
    byte_array,
    comment,
    floating,
    identifier,
    string,
)
from toolkit.recipe import Array

_MARGIN_PARTS, _MARGIN_LEAST = 8, 1024
_TOLERANCE = 1e-4
"""Of a float output's greatest magnitude: other kernels add in another order."""


@dataclass(frozen=True)
class Part:
    """An input or output of a program, and its values in the test vector."""

    side: str  # 'Input' or 'Output'
    index: int
    end: End
    value: Array

    @property
    def prefix(self) -> str:
        """What the names in C++ hold: 'Input0'."""
        return f"{self.side}{self.index}"

    @property
    def floats(self) -> bool:
        """Whether a device may answer with a slightly different value."""
        return self.end.dtype == "float32"


@dataclass(frozen=True)
class MicroProgram:
    """What all files of a program are made of.

    Attributes:
        name: the user's name of the model.
        version: of the TensorFlow Lite Micro that the arena and the test vector come from.
        source: SHA-256 of the .tflite file.
        methods: of the operator resolver.
        arena: least arena in bytes.
        test_inputs: of the test vector, one an input.
        test_outputs: what TensorFlow Lite Micro answers to them, one an output.
        golden: whether the test vector is a golden sample, or zeros.
    """

    name: str
    version: str
    source: str
    model: MicroModel
    methods: Sequence[str]
    arena: int
    test_inputs: Sequence[Array]
    test_outputs: Sequence[Array]
    golden: bool

    @property
    def space(self) -> str:
        """The namespace, and the stem of the files' names."""
        return identifier(self.name)

    @property
    def arena_with_margin(self) -> int:
        """An eighth more than the least arena, at least 1 KiB more; a multiple of 16."""
        margin = max(self.arena // _MARGIN_PARTS, _MARGIN_LEAST)
        return self.arena + (margin + 15) // 16 * 16

    @property
    def inputs(self) -> list[Part]:
        """Every input with its part of the test vector."""
        pairs = zip(self.model.inputs, self.test_inputs, strict=True)
        return [Part("Input", index, end, value) for index, (end, value) in enumerate(pairs)]

    @property
    def outputs(self) -> list[Part]:
        """Every output with its part of the test vector."""
        pairs = zip(self.model.outputs, self.test_outputs, strict=True)
        return [Part("Output", index, end, value) for index, (end, value) in enumerate(pairs)]


def header(program: MicroProgram) -> str:
    """The text of NAME.h."""
    guard = f"{program.space.upper()}_H_"
    parts = [
        comment(_about(program)),
        f"#ifndef {guard}\n#define {guard}",
        "#include <cmath>\n#include <cstddef>\n#include <cstdint>",
        f"namespace {program.space} {{",
        _model(program),
        _arena(program),
        *map(_described, (*program.inputs, *program.outputs)),
        *_labels(program),
        _functions(program),
        _test_vector(program),
        f"}}  // namespace {program.space}",
        f"#endif  // {guard}",
    ]
    return "\n\n".join(parts) + "\n"


def data(program: MicroProgram) -> str:
    """The text of NAME_data.cc: the model and the test vector."""
    arrays = [byte_array("kModel", "kModelBytes", program.model.content)]
    for part in (*program.inputs, *program.outputs):
        little = part.value.astype(np.dtype(part.end.dtype).newbyteorder("<")).tobytes()
        arrays.append(byte_array(f"kTest{part.prefix}", f"k{part.prefix}Bytes", little))
    space = program.space
    opening = comment([f"The model {as_json(program.name)} and its test vector, as constants."])
    body = "\n\n".join(arrays)
    return (
        f'{opening}\n\n#include "{space}.h"\n\nnamespace {space} {{\n\n{body}\n\n'
        f"}}  // namespace {space}\n"
    )


def _about(program: MicroProgram) -> Iterator[str]:
    yield f"The model {as_json(program.name)} for TensorFlow Lite Micro."
    yield f"Arena and test vector were found with its version {program.version}."
    yield f"SHA-256 of the .tflite file: {program.source}"
    yield "Operators: " + ", ".join(sorted(program.model.operators))
    manifest = program.model.manifest
    if manifest is None:
        return
    for name, steps in manifest.preprocessing.items():
        yield ""
        yield f"Do to the input {as_json(name)} first, in float32 and in this order:"
        for step in steps:
            yield f"  {as_json(step)}"
    yield ""
    yield f"Decision from output {as_json(manifest.outputs[0].name)}: {manifest.decision}"


def _model(program: MicroProgram) -> str:
    return (
        comment(["The model, a flatbuffer; its address is a multiple of 16."])
        + f"\nconstexpr std::size_t kModelBytes = {len(program.model.content)};\n"
        "extern const unsigned char kModel[kModelBytes];"
    )


def _arena(program: MicroProgram) -> str:
    macro = f"{program.space.upper()}_ARENA_BYTES"
    about = comment(
        (
            "Working memory. The least was found by trying, with pointers of 64 bits: a device of",
            "32 bits needs no more with the same reference kernels. Optimised kernels (CMSIS-NN,",
            "ESP-NN, Xtensa) may ask for scratch memory of their own; the margin of an eighth, at",
            f"least 1 KiB, is for them. If Setup() fails on the device, define {macro}",
            "larger; where it works, MicroInterpreter::arena_used_bytes() says what is used.",
        )
    )
    return (
        f"{about}\nconstexpr std::size_t kArenaLeastBytes = {program.arena};\n"
        f"#ifndef {macro}\n#define {macro} {program.arena_with_margin}\n#endif\n"
        f"constexpr std::size_t kArenaBytes = {macro};"
    )


def _described(part: Part) -> str:
    prefix, end = part.prefix, part.end
    kind = C_TYPES[end.dtype]
    lines = [
        comment([f"{prefix}, {as_json(end.name)}: {end.dtype} {list(end.shape)}"]),
        f"constexpr char k{prefix}Name[] = {string(end.name)};",
        f"constexpr std::size_t k{prefix}Rank = {len(end.shape)};",
    ]
    if end.shape:
        lines.append(
            f"constexpr std::int32_t k{prefix}Shape[{len(end.shape)}] = {braces(end.shape)};"
        )
    lines += [
        f"constexpr std::size_t k{prefix}Size = {end.size};  // elements",
        f"constexpr std::size_t k{prefix}Bytes = {end.bytes};",
        f"typedef {kind} {prefix}Type;",
    ]
    if end.quantization is not None:
        lines += _quantization(part, *end.quantization)
    return "\n".join(lines)


def _quantization(part: Part, scale: float, zero_point: int) -> Iterator[str]:
    prefix, limits = part.prefix, np.iinfo(part.end.dtype)
    zero = f"static_cast<float>(k{prefix}ZeroPoint)"
    yield comment(["An integer stands for (integer - zero point) * scale."])
    yield f"constexpr float k{prefix}Scale = {floating(scale)};"
    yield f"constexpr std::int32_t k{prefix}ZeroPoint = {zero_point};"
    if part.side == "Output":
        yield f"inline float Dequantize{prefix}({prefix}Type integer) {{"
        yield f"  return (static_cast<float>(integer) - {zero}) * k{prefix}Scale;"
    else:
        yield f"inline {prefix}Type Quantize{prefix}(float value) {{"
        yield f"  const float step = std::rint(value / k{prefix}Scale) + {zero};"
        yield f"  if (!(step > {limits.min}.0f)) return {limits.min};  // also what is no number"
        yield f"  if (step >= {limits.max}.0f) return {limits.max};"
        yield f"  return static_cast<{prefix}Type>(step);"
    yield "}"


def _labels(program: MicroProgram) -> Iterator[str]:
    labels = program.model.manifest.labels if program.model.manifest else None
    if labels:
        texts = "".join(f"    {string(label)},\n" for label in labels)
        yield (
            f"constexpr std::size_t kLabelCount = {len(labels)};\n"
            f"constexpr const char* kLabels[kLabelCount] = {{\n{texts}}};"
        )


def _functions(program: MicroProgram) -> str:
    accessors = [f"{part.prefix}Type* {part.prefix}();" for part in program.inputs]
    accessors += [f"const {part.prefix}Type* {part.prefix}();" for part in program.outputs]
    return "\n".join(
        (
            comment(
                [
                    "Plans the memory, once; false if the arena is too small. Kernels may crash in",
                    "one that is far too small: they write where they were given nothing.",
                ]
            ),
            "bool Setup();",
            "",
            comment(
                ["Where to write inputs, all before every Invoke(), and to read outputs after"]
            ),
            comment(["it; null before Setup() succeeded."]),
            *accessors,
            "",
            comment(["Predicts; false if that failed."]),
            "bool Invoke();",
            "",
            comment(["Whether the device computes what TensorFlow Lite Micro did where this was"]),
            comment(["made: integers to the bit, floats within the tolerance below."]),
            "bool SelfTest();",
        )
    )


def _test_vector(program: MicroProgram) -> str:
    made_of = "the first golden sample" if program.golden else "zeros: no golden samples were given"
    lines = [comment([f"The test vector, raw bytes, little-endian; {made_of}."])]
    lines += [
        f"extern const unsigned char kTest{part.prefix}[k{part.prefix}Bytes];"
        for part in (*program.inputs, *program.outputs)
    ]
    lines += [
        f"constexpr float kTest{part.prefix}Tolerance = {floating(_tolerance(part.value))};"
        for part in program.outputs
        if part.floats
    ]
    return "\n".join(lines)


def _tolerance(value: Array) -> float:
    return _TOLERANCE * float(np.abs(value[np.isfinite(value)]).max(initial=1e-6))
