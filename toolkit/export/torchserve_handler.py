"""The handler of `--target torchserve`: copied into the archive, it runs inside TorchServe.

Next to it are `model.pt2`, `manifest.json` and `edge.pyz`, the code that runs on devices. torch and
numpy are all that it needs of the server; nothing is unpickled.

    {"inputs": VALUE or {NAME: VALUE}}            one sample or a batch of them, as `edge serve`
    {"instances": [VALUE or {NAME: VALUE}, ...]}  one sample each
    -> {"outputs", "answers", "labels"}, or {"error": TEXT} with 400 or 500

Requests that TorchServe hands over together are joined into one call of the model where their
samples have the same shapes, and split again; a wrong one is answered by itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parent
if (_FOLDER / "edge.pyz").exists():
    sys.path.insert(0, str(_FOLDER / "edge.pyz"))  # before an edge that happens to be installed

from edge.answer import interpret, prepare  # noqa: E402
from edge.errors import EdgeError, InputError  # noqa: E402
from edge.manifest import Manifest  # noqa: E402
from edge.model import Model  # noqa: E402
from edge.present import as_json  # noqa: E402
from edge.raw import from_json, parse_json  # noqa: E402

Arrays = Mapping[str, "np.ndarray[Any, Any]"]
Reply = tuple[int, dict[str, Any]]  # an HTTP status and a JSON value

_FAILED = "the model failed; the server's log says why"
_FORMS = '{"inputs": ...} or {"instances": [...]}'


@dataclass(frozen=True)
class Asked:
    """One request that can be answered.

    Attributes:
        place: in the batch that TorchServe handed over.
        arrays: preprocessed, by input name, each [count, ...].
        count: its samples.
    """

    place: int
    arrays: Arrays
    count: int

    def form(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Requests of the same form can be joined."""
        return tuple((n, a.dtype.str, a.shape[1:]) for n, a in sorted(self.arrays.items()))


class Program(Model):
    """A program of torch.export as `edge` runs models.

    Args:
        folder: with model.pt2 and manifest.json.
        device: 'cpu', or a GPU such as 'cuda:0'.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        import torch

        manifest = Manifest.from_json((folder / "manifest.json").read_bytes())
        program = torch.export.load(folder / "model.pt2")
        if device != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        self._device, self._module = device, program.module()
        runtime = f"torch {torch.__version__}"
        super().__init__("model.pt2", runtime, manifest.inputs, manifest.outputs, manifest)

    def _run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        import torch

        tensors = [torch.from_numpy(np.array(array)).to(self._device) for array in inputs]
        with torch.inference_mode():
            outputs = self._module(*tensors)
        return [output.cpu().numpy() for output in outputs]


_LOADED: dict[str, Program] = {}
"""The one model of this process, once TorchServe has asked for it to be loaded."""


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[str] | None:
    """What TorchServe calls: without data to load the model, then for each batch of requests.

    Args:
        data: a mapping a request; `body` is its JSON, parsed already, or its bytes.
        context: TorchServe's, which also takes the status of each answer.
    """
    if data is None:
        _LOADED["model"] = _loaded(context)
        return None
    answers = []
    for place, (status, value) in enumerate(respond(_LOADED["model"], data)):
        if status != 200:
            context.set_response_status(code=status, phrase="", idx=place)
        context.set_response_content_type(place, "application/json")
        answers.append(json.dumps(value))
    return answers


def _loaded(context: Any) -> Program:
    """The model, on the GPU that TorchServe chose, if any.

    One thread a call: workers share the cores, and more threads than cores are slow.
    """
    import torch

    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # torch.export.load would unpickle, too
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    gpu = context.system_properties.get("gpu_id")
    return Program(_FOLDER, "cpu" if gpu is None else f"cuda:{gpu}")


def respond(model: Model, requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
    """Answer each request, in order."""
    found: dict[int, Reply] = {}
    groups: dict[Any, list[Asked]] = {}
    for place, request in enumerate(requests):
        try:
            asked = _asked(model, place, request)
        except InputError as error:
            found[place] = 400, {"error": str(error)}
        except Exception:  # whatever it is, the others of the batch are answered
            logging.exception("a request cannot be prepared")
            found[place] = 500, {"error": _FAILED}
        else:
            groups.setdefault(asked.form(), []).append(asked)
    for group in groups.values():
        found |= _answered(model, group)
    return [found[place] for place in range(len(requests))]


def _asked(model: Model, place: int, request: Mapping[str, Any]) -> Asked:
    """Read and preprocess one request; raises InputError."""
    if "body" not in request and "data" not in request:  # read as fields of a form
        raise InputError(f"send {_FORMS} with Content-Type: application/json")
    value = request.get("body", request.get("data"))
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, bytearray)):
        value = parse_json(bytes(value))
    if not isinstance(value, dict) or list(value) not in (["inputs"], ["instances"]):
        raise InputError(f"expected a JSON object {_FORMS}")
    rows = value.get("instances")
    raw = from_json(model, value["inputs"] if "inputs" in value else _columns(rows))
    arrays = prepare(model, raw)
    missing = [str(tensor) for tensor in model.inputs if tensor.name not in arrays]
    if missing:
        raise InputError(f"no value for {', '.join(missing)}")
    counts = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(f"the inputs differ in number of samples: {told}")
    name, count = next(iter(counts.items()), ("", 1))
    if rows is not None and count != len(rows):
        raise InputError(
            f"input {name}: {len(rows)} instances make {count} sample(s) of the model's shape; "
            "give one sample an instance, or all as inputs"
        )
    return Asked(place, arrays, count)


def _columns(instances: Any) -> Any:
    """Rows as `from_json` takes them: an object of lists, or the list itself."""
    if not isinstance(instances, list) or not instances:
        raise InputError("instances: expected a list of at least one sample")
    if not any(isinstance(row, dict) for row in instances):
        return instances
    names = list(instances[0]) if isinstance(instances[0], dict) else []
    for index, row in enumerate(instances):
        if not isinstance(row, dict) or set(row) != set(names):
            raise InputError(f"instances: number {index} has other inputs than number 0")
    return {name: [row[name] for row in instances] for name in names}


def _answered(model: Model, group: Sequence[Asked]) -> dict[int, Reply]:
    """Answers by place: joined, or one by one where that fails or cannot be split."""
    if len(group) > 1:
        try:
            return dict(_split(model, group))
        except EdgeError as error:
            logging.info("asked one by one, as joined: %s", error)
    return {asked.place: _alone(model, asked) for asked in group}


def _alone(model: Model, asked: Asked) -> Reply:
    try:
        outputs = _predict(model, asked.arrays, asked.count)
    except InputError as error:
        return 400, {"error": str(error)}
    except EdgeError:
        logging.exception("the model failed")
        return 500, {"error": _FAILED}
    return _read(model, outputs)


def _split(model: Model, group: Sequence[Asked]) -> list[tuple[int, Reply]]:
    """One call for all; raises EdgeError where it fails or its outputs cannot be told apart."""
    total = sum(asked.count for asked in group)
    joined = {}
    for name in group[0].arrays:
        parts = [asked.arrays[name] for asked in group]
        if not parts[0].ndim:
            raise InputError(f"input {name} has no batch axis")
        joined[name] = np.concatenate(parts)
    outputs = _predict(model, joined, total)
    for name, array in outputs.items():
        if not array.ndim or len(array) != total:
            raise InputError(f"output {name} has no batch axis")
    made, start = [], 0
    for asked in group:
        rows = slice(start, start + asked.count)
        start = rows.stop
        own = {name: array[rows] for name, array in outputs.items()}
        made.append((asked.place, _read(model, own)))
    return made


def _predict(model: Model, arrays: Arrays, count: int) -> dict[str, Any]:
    """The outputs of `count` samples; where the file fixes its batch, it is filled up."""
    size = next((tensor.shape[0] for tensor in model.inputs if tensor.shape), None)
    if size is None or not count % size:
        return model.predict(arrays)
    rows = np.resize(np.arange(count), count + -count % size)
    filled = {name: array[rows] if array.ndim else array for name, array in arrays.items()}
    return {n: a[:count] if a.ndim else a for n, a in model.predict(filled).items()}


def _read(model: Model, outputs: Arrays) -> Reply:
    """Decision and labels; that they cannot be had is the model's fault."""
    try:
        return 200, as_json(interpret(model, outputs))
    except EdgeError:
        logging.exception("the outputs cannot be interpreted")
        return 500, {"error": _FAILED}
