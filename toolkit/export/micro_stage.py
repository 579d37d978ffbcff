"""From an exported .tflite file to the checked folder of a microcontroller program."""

from collections.abc import Mapping

from edge.manifest_tflite import read_from_tflite
from toolkit.errors import ConversionError
from toolkit.export.micro import micro
from toolkit.export.micro_compare import compare_with_litert
from toolkit.recipe import Array

MODEL = "model.tflite"
"""The file that a program was made of; verification runs it."""

_STEPS, _STEPS_16 = 4, 64
"""Of an integer output of 8 and of 16 bits, by which TFLM's kernels may differ from LiteRT's in all
but one call of twenty. In these it may be ten times as much: what an LSTM rounds otherwise goes on
growing, and LiteRT's own two sets of kernels differ more."""
_RARELY = 10


def program(content: bytes, name: str, inputs: Mapping[str, Array]) -> tuple[dict[str, bytes], str]:
    """The program's files with the .tflite file beside them, and a note on how it was checked.

    Call it in a child process. TFLM's interpreter and LiteRT's reference kernels must agree on all
    inputs: floats to the bit, integers within a few steps.

    Args:
        content: a .tflite file, quantised or not.
        name: of the model.
        inputs: golden ones, preprocessed, by name, each [n, ...].

    Raises:
        ConversionError: TFLM lacks an operator, or answers otherwise than LiteRT.
    """
    files = micro(content, name, inputs)
    found = compare_with_litert(content, inputs, reference=True)
    manifest = read_from_tflite(content)
    precision = "fp32" if manifest is None else manifest.precision
    limit = {"fp32": 0, "16x8": _STEPS_16}.get(precision, _STEPS)
    if found.usual_step > limit or found.greatest_step > limit * _RARELY:
        raise ConversionError(
            f"TensorFlow Lite Micro answers otherwise than LiteRT: {found.equal} of "
            f"{found.samples} samples are equal, 19 of 20 differ by {found.usual_step:g} at most "
            f"and all by {found.greatest_step:g}, where {limit} and {limit * _RARELY} are "
            "allowed; use another precision"
        )
    note = (
        f"in TensorFlow Lite Micro: {found.equal} of {found.samples} golden samples are equal to "
        f"LiteRT's to the bit"
    )
    if limit:
        note += f", the greatest difference is {found.greatest_step:g} steps"
    return {**files, MODEL: content}, note
