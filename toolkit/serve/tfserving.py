"""TensorFlow Serving's REST interface as functions: requests to arrays, and outputs to answers.

`signature_name` says what the inputs are: 'serving_default' or none, or the method's own name such
as 'tensorflow/serving/predict', raw values that the server preprocesses; 'preprocessed', values
that are already as the model itself takes them. Scores and values are in tfserving_examples.py.
"""

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from edge.tensor import Tensor
from toolkit.serve import tfserving_examples as examples
from toolkit.serve.arrays import array, same_count
from toolkit.serve.errors import RequestError
from toolkit.serve.tfserving_forms import (
    columns,
    from_inputs,
    from_rows,
    need_batches,
    refuse_rows,
)
from toolkit.serve.version import Arrays, Spec, Version

_METHOD = "tensorflow/serving/"
_TYPES = {
    "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF", "bool": "DT_BOOL",
    "str": "DT_STRING",
    "int8": "DT_INT8", "int16": "DT_INT16", "int32": "DT_INT32", "int64": "DT_INT64",
    "uint8": "DT_UINT8", "uint16": "DT_UINT16", "uint32": "DT_UINT32", "uint64": "DT_UINT64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was read.

    Attributes:
        inputs: arrays [n, ...] by input name.
        preprocess: whether they are raw.
        row: whether the answer is wanted a sample at a time ('predictions').
    """

    inputs: Arrays
    preprocess: bool = True
    row: bool = True


class State(Protocol):
    """What a repository knows about one version."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def state(self) -> str:
        """As TensorFlow Serving calls it, such as 'AVAILABLE'."""

    @property
    def error(self) -> str:
        """Why it is not available, or ''."""


def read_predict(body: Any, version: Version) -> Call:
    """Read the body of `:predict`: 'instances' a sample at a time, or 'inputs' by input.

    Raises:
        RequestError: neither or both are given, or a value does not fit its input.
    """
    preprocess = _is_raw(body, "predict")
    specs = version.inputs if preprocess else version.prepared
    row = "instances" in body
    if row == ("inputs" in body):
        raise RequestError(
            "expected exactly one of 'instances' (a list of samples) and 'inputs' (a value for "
            f"each input), got {'both' if row else 'neither'}; send one of them"
        )
    if row:
        need_batches(specs, version)
        columns = from_rows(body["instances"], specs)
        where = "instances"
    else:
        columns = from_inputs(body["inputs"], specs)
        where = "inputs"
    inputs = {spec.name: array(columns[spec.name], spec, where) for spec in specs}
    same_count(specs, inputs)
    return Call(inputs, preprocess, row)


def write_predict(
    outputs: Arrays,
    call: Call,
    version: Version,  # noqa: ARG001 - all are called alike
) -> dict[str, Any]:
    """The answer to `:predict`; with one output its name is dropped.

    Raises:
        RequestError: rows are wanted of an output that has not one for each sample.
    """
    if not call.row:
        only = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
        return {"outputs": only}
    count = len(next(iter(call.inputs.values())))
    for name, output in outputs.items():
        if not output.ndim or len(output) != count:
            refuse_rows(f"output {name}", f"{list(output.shape)} for {count} samples")
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    rows = zip(*outputs.values(), strict=True)
    return {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]}


def read_classify(body: Any, version: Version) -> Call:
    """Read the body of `:classify`: 'examples', objects of values, and a 'context' common to all.

    Raises:
        RequestError: the model has no classes, or a value does not fit its input.
    """
    examples.need_classes(version)
    return _read_examples(body, version, "classify")


def write_classify(
    outputs: Arrays,
    call: Call,  # noqa: ARG001 - all are called alike
    version: Version,
) -> dict[str, Any]:
    """Label and score of every class, in the model's order; see `tfserving_examples.scores`.

    Without labels a class is called by its number.
    """
    found = examples.scores(outputs, version)
    known = version.labels or ()
    labels = [*known, *map(str, range(len(known), found.shape[1]))]
    return {"results": [list(zip(labels, row, strict=False)) for row in found]}


def read_regress(body: Any, version: Version) -> Call:
    """Read the body of `:regress`, which is as that of `:classify`.

    Raises:
        RequestError: the model has not one value a sample, or a value does not fit its input.
    """
    examples.need_value(version)
    return _read_examples(body, version, "regress")


def write_regress(
    outputs: Arrays,
    call: Call,  # noqa: ARG001 - all are called alike
    version: Version,
) -> dict[str, Any]:
    """One value a sample; see `tfserving_examples.values`."""
    return {"results": examples.values(outputs, version)}


def metadata(version: Version) -> dict[str, Any]:
    """Names, dtypes and shapes of inputs and outputs, by signature."""
    outputs = {tensor.name: _tensor(tensor) for tensor in version.outputs}
    signatures = {
        name: {
            "inputs": {spec.name: _tensor(spec) for spec in specs},
            "outputs": outputs,
            "method_name": f"{_METHOD}predict",
        }
        for name, specs in (
            ("serving_default", version.inputs),
            ("preprocessed", version.prepared),
        )
    }
    kind = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    return {
        "model_spec": {
            "name": version.name,
            "signature_name": "",
            "version": str(version.number),
        },
        "metadata": {"signature_def": {"@type": kind, "signature_def": signatures}},
    }


def status(states: Iterable[State]) -> dict[str, Any]:
    """The states of versions, the newest first."""
    rows = [
        {
            "version": str(state.version),
            "state": state.state,
            "status": {
                "error_code": "INTERNAL" if state.error else "OK",
                "error_message": state.error,
            },
        }
        for state in sorted(states, key=lambda state: -state.version)
    ]
    return {"model_version_status": rows}


def _tensor(tensor: Spec | Tensor) -> dict[str, Any]:
    sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in tensor.shape]
    return {
        "dtype": _TYPES[tensor.dtype],
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
        "name": tensor.name,
    }


def _is_raw(body: Any, method: str) -> bool:
    """Whether the signature takes raw values; the body must be an object."""
    if type(body) is not dict:
        raise RequestError(f"expected a JSON object with {_FIELDS[method]}, got something else")
    name = body.get("signature_name")
    if name in (None, "", "serving_default", _METHOD + method):
        return True
    if name != "preprocessed":
        raise RequestError(
            f"signature_name: expected 'serving_default' (raw inputs) or 'preprocessed', got "
            f"{reprlib.repr(name)}; leave it out for 'serving_default'"
        )
    return False


_FIELDS = {
    "predict": "'instances' or 'inputs'",
    "classify": "'examples'",
    "regress": "'examples'",
}


def _read_examples(body: Any, version: Version, method: str) -> Call:
    preprocess = _is_raw(body, method)
    specs = version.inputs if preprocess else version.prepared
    rows = examples.with_context(body)
    named = columns(rows, specs, "examples")
    inputs = {spec.name: examples.feature(named[spec.name], spec) for spec in specs}
    return Call(inputs, preprocess)
