"""All tensors of a .tflite file, as LiteRT's reference kernels compute them.

Integers that stand for floats are given as the floats, so that files of any precision compare.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.manifest import Manifest
from edge.quantisation import quantise
from edge.tensor import Tensor, natural_order
from toolkit.recipe import Array
from toolkit.verify.layers import Tap


def record(
    content: bytes, manifest: Manifest | None, feeds: Sequence[Mapping[str, Array]]
) -> list[Tap]:
    """Run the file on every feed and return its tensors in the order of their making.

    Args:
        content: the file.
        manifest: for the names of its inputs.
        feeds: preprocessed inputs by name, each of the batch size that the file takes.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    inputs = _inputs(interpreter, manifest)
    runs = [_run(interpreter, inputs, feed) for feed in feeds]
    names = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    taps = []
    for operator in interpreter._get_ops_details():  # there is no public way
        made_of = tuple(names[int(i)] for i in operator["inputs"] if int(i) in names)
        taps += [
            Tap(names[i], operator["op_name"], made_of, np.stack([run[i] for run in runs]))
            for i in map(int, operator["outputs"])
            if all(i in run and run[i].shape == runs[0][i].shape for run in runs)
        ]
    return taps


def _inputs(interpreter: Any, manifest: Manifest | None) -> dict[str, dict[str, Any]]:
    """Detail by the name that a feed has for it."""
    details = interpreter.get_input_details()
    signatures = list(interpreter._get_full_signature_list().values())
    if len(signatures) == 1:
        by_index = {index: name for name, index in signatures[0]["inputs"].items()}
        found = {by_index.get(d["index"], d["name"]): d for d in details}
        found = {name: found[name] for name in sorted(found, key=natural_order)}
    else:
        found = {detail["name"]: detail for detail in details}
    wanted = [tensor.name for tensor in manifest.inputs] if manifest else list(found)
    if set(wanted) == set(found):
        return found
    return dict(zip(wanted, found.values(), strict=True))


def _run(
    interpreter: Any, inputs: Mapping[str, dict[str, Any]], feed: Mapping[str, Array]
) -> dict[int, Array]:
    """Values by tensor's number."""
    for name, detail in inputs.items():
        interpreter.resize_tensor_input(detail["index"], list(feed[name].shape), strict=False)
    interpreter.allocate_tensors()
    for name, detail in inputs.items():
        interpreter.set_tensor(detail["index"], _as_taken(feed[name], detail))
    interpreter.invoke()
    values = {}
    for detail in interpreter.get_tensor_details():
        try:
            array = interpreter.get_tensor(detail["index"])
        except ValueError:  # never computed: scratch memory, or the body of a branch
            continue
        values[detail["index"]] = _as_float(array, detail["quantization_parameters"])
    return values


def _as_taken(array: Array, detail: Mapping[str, Any]) -> Array:
    """Floats as the integers that an input takes for them."""
    scales, zeros = (detail["quantization_parameters"][k] for k in ("scales", "zero_points"))
    dtype = np.dtype(detail["dtype"])
    if array.dtype.kind != "f" or dtype.kind not in "iu" or not len(scales):
        return array.astype(dtype)
    tensor = Tensor(detail["name"], array.shape, "float32", (float(scales[0]), int(zeros[0])))
    return quantise(array, tensor, dtype.name)


def _as_float(array: Array, parameters: Mapping[str, Any]) -> Array:
    scales, zeros = parameters["scales"], parameters["zero_points"]
    if not len(scales) or array.dtype.kind not in "iu":
        return np.array(array, np.float32) if array.dtype == np.float16 else np.array(array)
    shape = [1] * array.ndim
    if len(scales) > 1:
        shape[parameters["quantized_dimension"]] = len(scales)
    steps = array.astype(np.float32) - zeros.reshape(shape)
    return np.asarray(steps * scales.reshape(shape), np.float32)
