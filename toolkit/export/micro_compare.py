"""TensorFlow Lite Micro and LiteRT side by side on the same integers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import ConversionError
from toolkit.export.micro_arena import LIMIT, interpreter_of
from toolkit.export.micro_model import MicroModel, read_model
from toolkit.recipe import Array


@dataclass(frozen=True)
class MicroComparison:
    """How far TensorFlow Lite Micro is from LiteRT.

    Attributes:
        samples: that both answered.
        equal: samples whose outputs are all equal to the bit.
        greatest_step: greatest difference in an output: of integers in integers; of floats in
            units in the last place of that output's greatest magnitude, many where a dequantised
            integer differs by one. Infinity where one of the two is NaN.
        usual_step: the same of all calls but the most different twentieth.
    """

    samples: int
    equal: int
    greatest_step: float
    usual_step: float = 0.0


def compare_with_litert(
    content: bytes, inputs: Mapping[str, Array], *, reference: bool = False
) -> MicroComparison:
    """Run a .tflite file in LiteRT, and what is made of it for a microcontroller in TFLM.

    Call it in a child process: a runtime may die of a bad file.

    Args:
        content: the .tflite file.
        inputs: by name, each [n, ...] after preprocessing; n is rounded down to whole batches.
        reference: LiteRT's reference kernels, which TFLM's stem from, instead of those that
            predict elsewhere. Floats are equal to the bit then; integers differ by a step or two
            where a softmax, tanh or sigmoid is computed otherwise.

    Raises:
        ConversionError: a runtime cannot prepare or run the model.
        DataError: the inputs do not fit.
    """
    model = read_model(content)
    calls = model.raw(inputs)
    ours, theirs = run_micro(model, calls), _run_litert(content, calls, reference)
    equal, steps = 0, []
    for one, two in zip(ours, theirs, strict=True):
        equal += _equal_samples(one, two, model.batch)
        steps.append(max(map(_difference, one, two)))
    usual = sorted(steps)[-1 - len(steps) // 20]
    return MicroComparison(len(calls) * model.batch, equal, max(steps), usual)


def run_micro(
    model: MicroModel, calls: Sequence[Sequence[Array]], arena: int = LIMIT
) -> list[list[Array]]:
    """Outputs of each call in TensorFlow Lite Micro, each from a fresh state.

    Raises:
        ConversionError: the interpreter refuses.
    """
    answers = []
    try:
        interpreter = interpreter_of(model.content, arena)
        for inputs in calls:
            interpreter.reset()
            for index, values in enumerate(inputs):
                interpreter.set_input(values, index)
            interpreter.invoke()
            answers.append([interpreter.get_output(i).copy() for i in range(len(model.outputs))])
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"TensorFlow Lite Micro cannot run the model: {error}") from error
    return answers


def _run_litert(
    content: bytes, calls: Sequence[Sequence[Array]], reference: bool
) -> list[list[Array]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    answers = []
    try:
        interpreter: Any = Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=kernels
        )
        interpreter.allocate_tensors()
        into = [detail["index"] for detail in interpreter.get_input_details()]
        out = [detail["index"] for detail in interpreter.get_output_details()]
        for inputs in calls:
            interpreter.reset_all_variables()
            for index, values in zip(into, inputs, strict=True):
                interpreter.set_tensor(index, values)
            interpreter.invoke()
            answers.append([interpreter.get_tensor(index) for index in out])
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"LiteRT cannot run the model: {error}") from error
    return answers


def _equal_samples(one: Sequence[Array], two: Sequence[Array], batch: int) -> int:
    same = np.ones(batch, bool)
    for a, b in zip(one, two, strict=True):
        rows = [np.frombuffer(x.tobytes(), np.uint8).reshape(batch, -1) for x in (a, b)]
        same &= (rows[0] == rows[1]).all(axis=1)
    return int(same.sum())


def _difference(ours: Array, theirs: Array) -> float:
    if ours.tobytes() == theirs.tobytes():
        return 0.0
    if ours.dtype.kind != "f":
        return float(np.abs(ours.astype(np.int64) - theirs.astype(np.int64)).max())
    distance = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
    unit = np.spacing(np.abs(theirs).max())
    return float(distance / unit) if np.isfinite(distance) else float("inf")
