"""The manifest of a file that is about to be made, from a run's card and golden vectors."""

from collections.abc import Mapping
from typing import Any

from edge import steps
from edge.errors import EdgeError, InputError
from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.artifacts import title_of
from toolkit.data.load import preprocess
from toolkit.errors import ConversionError
from toolkit.export.request import Request
from toolkit.recipe import TITLES, Array
from toolkit.runs import Run

_PACKAGES = {
    ("tf", "tflite"): ("tensorflow", "keras"),
    ("tf", "onnx"): ("tensorflow", "keras", "tf2onnx"),
    ("tf", "savedmodel"): ("tensorflow", "keras"),
    ("torch", "tflite"): ("torch", "litert-torch"),
    ("torch", "onnx"): ("torch", "onnxscript"),
    ("torch", "pt2"): ("torch",),
    ("torch", "torchserve"): ("torch",),
}
_TO = {"nchw": (2, 0, 1), "nhwc": (1, 2, 0)}
"""Layout -> axes of a sample that turn the other layout into it."""

_CHANNELS = (1, 3, 4)


def manifest_of(
    run: Run, framework: str, target: str, request: Request, batch: int | None
) -> Manifest:
    """What the file takes and answers.

    Args:
        run: whose model it is.
        framework: of the model.
        target: of the file.
        request: layout and opset.
        batch: fixed batch size, or None.

    Raises:
        ConversionError: names or shapes cannot be described.
    """
    card, golden = run.card, run.golden(framework)
    head = {name: array[:1] for name, array in golden.inputs.items()}
    inputs = preprocess(card, head)
    axes = permutation(inputs, request.layout)
    before = {name: card.steps_for(name) for name in head}
    for name, order in axes.items():
        before[name].append({"step": "transpose", "axes": list(order)})
        inputs[name] = inputs[name].transpose(0, *(axis + 1 for axis in order))
    try:
        made = Manifest(
            name=card.name,
            framework=framework,
            target=target,
            precision="fp32",
            inputs=_tensors(inputs, batch),
            outputs=_tensors(golden.outputs, batch),
            preprocessing=before,
            decision=card.decision,
            labels=card.labels,
            postprocessing=[dict(step) for step in card.postprocessing],
            extra=_origin(run, framework, target, request),
        )
        _check_whole(made, golden.outputs)
        return made
    except EdgeError as error:
        title = title_of(framework)
        raise ConversionError(f"{title} model of run {run.name}: {error}") from error


def _origin(run: Run, framework: str, target: str, request: Request) -> dict[str, Any]:
    """What the file came of, and how it was asked for."""
    facts = run.facts
    found: dict[str, Any] = {
        "run": run.name,
        "recipe_sha256": facts.get("recipe", {}).get("sha256"),
        "model_sha256": facts.get("model", {}).get("sha256"),
        "data_sha256": facts.get("data", {}).get("sha256"),
        "layout": request.layout,
        "tools": _versions(framework, target),
        "opset": request.opset if target == "onnx" and framework != "onnx" else None,
    }
    return {name: value for name, value in found.items() if value}


def _check_whole(manifest: Manifest, outputs: Mapping[str, Array]) -> None:
    """Raise EdgeError where the manifest is too large to be read, or its steps do not fit."""
    manifest.to_json()
    first = outputs[manifest.outputs[0].name]
    try:
        steps.apply(manifest.postprocessing, first[:1])
    except InputError as error:
        raise InputError(f"postprocessing: {error}") from error


def permutation_of(run: Run, framework: str, layout: str) -> dict[str, tuple[int, ...]]:
    """`permutation` of a run's model inputs."""
    head = {name: array[:1] for name, array in run.golden(framework).inputs.items()}
    return permutation(preprocess(run.card, head), layout)


def permutation(inputs: Mapping[str, Array], layout: str) -> dict[str, tuple[int, ...]]:
    """Axes by input that bring image samples into `layout`, where they are in the other one.

    The channels are the axis of 1, 3 or 4 entries; an image that could be either is left as it is.
    """
    if not layout:
        return {}
    channels = 0 if layout == "nchw" else -1
    chosen: dict[str, tuple[int, ...]] = {}
    for name, array in inputs.items():
        sample = array.shape[1:]
        if len(sample) != 3 or sample[channels] in _CHANNELS:
            continue
        if sample[-1 - channels] in _CHANNELS:
            chosen[name] = _TO[layout]
    return chosen


def _tensors(arrays: Mapping[str, Array], batch: int | None) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, (batch, *array.shape[1:]), array.dtype.name) for name, array in arrays.items()
    )


def _versions(framework: str, target: str) -> dict[str, str]:
    from importlib import metadata  # slow to import, and not needed for --help

    try:
        return {name: metadata.version(name) for name in _PACKAGES.get((framework, target), ())}
    except metadata.PackageNotFoundError as error:
        raise ConversionError(
            f"{TITLES[framework]} to {target} needs {error.name}, which is not installed here; "
            "pip install 'edge-deployment-toolkit[export]'"
        ) from error
