"""From a model file in fp32 to the same model in another precision.

Works on files alone, whoever converted them, and needs neither TensorFlow nor torch. It is to run
in a process of its own (`toolkit.hosts`): quantisers crash. Which samples calibrate, and whether
the result is good enough, is decided elsewhere.
"""

from collections.abc import Mapping

from edge.errors import ModelError
from toolkit.errors import ConversionError, ToolkitError, UsageError
from toolkit.export.request import STATIC
from toolkit.recipe import Array


def quantise(
    content: bytes,
    target: str,
    precision: str,
    calibration: Mapping[str, Array] | None,
    io: str = "float",
) -> bytes:
    """Return the content of a file of another precision; the same arguments give the same bytes.

    Names of inputs, outputs and inner tensors are kept. A manifest in the file is kept too, its
    precision replaced and, where integers go in or come out, their scale and zero point added.

    Args:
        content: a .tflite or .onnx file in fp32, with or without a manifest. An ONNX file needs
            opset 13 or newer for static int8, 11 for the others; it is kept.
        target: 'tflite' or 'onnx'.
        precision: 'fp16' (weights; ONNX computes in fp16 too), 'dynamic' (int8 weights), 'int8',
            'int8-float' (the operators that make the outputs stay float), '16x8' (TFLite).
        calibration: samples that were preprocessed, [n, ...] by input name; for static precisions.
        io: 'float' keeps float32 in and out; 'int8' takes and gives integers ('16x8': int16).

    Raises:
        UsageError: the precision does not exist for the target, or samples are missing.
        ConversionError: the file is damaged, or the quantiser failed; names the operator or
            tensor where it is known.
    """
    _check(target, precision, calibration, io)
    try:
        if target == "tflite":
            from toolkit.export.quantise_tflite import quantise_tflite as quantiser
        else:
            from toolkit.export.quantise_onnx import quantise_onnx as quantiser
        return quantiser(content, precision, calibration or {}, io)
    except ToolkitError:
        raise
    except ModelError as error:  # the file or its manifest is damaged
        raise ConversionError(str(error)) from error
    except Exception as error:  # a quantiser raises whatever its parts raise
        line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise ConversionError(
            f"to {precision}: {line}\ntry another precision", detail=repr(error)
        ) from error


def _check(target: str, precision: str, calibration: Mapping[str, Array] | None, io: str) -> None:
    if target not in ("tflite", "onnx"):
        raise UsageError(f"target {target!r} has no precision but fp32; quantise tflite or onnx")
    known = ("fp16", "dynamic", *STATIC) if target == "tflite" else ("fp16", "dynamic", *STATIC[:2])
    if precision == "16x8" and target == "onnx":
        raise UsageError("precision '16x8' exists for TFLite only; take 'int8' or 'fp16' for ONNX")
    if precision not in known:
        raise UsageError(f"precision {precision!r} is not one of {', '.join(known)}")
    if io not in ("float", "int8"):
        raise UsageError(f"io {io!r} is neither 'float' nor 'int8'")
    if io == "int8" and precision not in STATIC:
        raise UsageError(
            f"precision {precision!r} has float inputs and outputs; --io int8 needs int8"
        )
    if precision in STATIC:
        _check_samples(precision, calibration)


def _check_samples(precision: str, calibration: Mapping[str, Array] | None) -> None:
    if not calibration or not all(len(array) for array in calibration.values()):
        raise UsageError(
            f"precision {precision!r} needs calibration samples\n"
            "give training data, or take 'dynamic', which needs none"
        )
    counts = {name: len(array) for name, array in calibration.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"calibration: inputs have different numbers of samples: {counts}")
