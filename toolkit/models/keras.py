"""Keras models and SavedModels, loaded without running code from the file. Loads TensorFlow."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.tensor import Tensor
from toolkit.builders import call_keras, keras_model
from toolkit.errors import UsageError
from toolkit.models.source import ModelSource
from toolkit.models.structure import batch_of, named_outputs
from toolkit.recipe import Array

_CODE = ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
"""Layers that hold code, or the path of code."""

_OWN = ("keras", "builtins")
"""Packages whose classes a file may name."""

_WAY_OUT = "rebuild it with Keras's own layers, or export a SavedModel from the code that made it"


@dataclass(frozen=True)
class Loaded:
    """A model of TensorFlow, whatever it was stored as.

    Attributes:
        call: from inputs by name to outputs by name, tensors [batch, ...].
        trackable: owns the variables.
        layers: the Keras layers and operations, innermost included; empty for a SavedModel.
        inputs: what it takes, where it says so; axis 0 counts the samples.
    """

    call: Callable[[Mapping[str, Any]], dict[str, Any]]
    trackable: Any
    layers: tuple[Any, ...]
    inputs: tuple[Tensor, ...]

    @property
    def batch(self) -> int | None:
        """The batch size that the model itself fixes, or None."""
        return batch_of(self.inputs)


def load(model: ModelSource, example: Mapping[str, Array] | None = None) -> Loaded:
    """Load a model of kind 'recipe', 'keras', 'h5' or 'savedmodel'.

    Args:
        model: the model.
        example: inputs by name, for a recipe's model that learns its shapes by a call.

    Raises:
        UsageError: the file is damaged, needs code that is not Keras's own, or has no signature.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in model.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        match model.kind:
            case "recipe":
                return _of_recipe(model, example or {}, Path(folder))
            case "savedmodel":
                return _of_saved_model(Path(folder))
            case _:
                (name,) = model.files
                return _of_keras(_load_file(Path(folder) / name))


def _of_recipe(model: ModelSource, example: Mapping[str, Array], folder: Path) -> Loaded:
    assert model.recipe is not None
    recipe = model.recipe.load()
    built = keras_model(recipe, example)
    (name,) = model.files
    built.load_weights(folder / name)

    def call(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return named_outputs(call_keras(built, inputs, training=False), [recipe.output_name])

    return Loaded(call, built, _layers(built), ())


def _load_file(path: Path) -> Any:
    import keras

    _refuse_code(path)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
        raise UsageError(f"{path.name} cannot be read as a Keras model: {reason}") from error


def _of_keras(model: Any) -> Loaded:
    if not getattr(model, "inputs", None):
        raise UsageError(f"the Keras model {model.name!r} has no defined inputs; {_WAY_OUT}")
    layers = _layers(model)
    for layer in layers:
        if getattr(layer, "compute_dtype", None) in ("float16", "bfloat16"):
            layer.dtype_policy = "float32"  # the weights are float32 already
    structure = _structure(model)
    inputs = tuple(_tensor(name, value) for name, value in _inputs(model).items())
    names = list(getattr(model, "output_names", ()))

    def call(given: Mapping[str, Any]) -> dict[str, Any]:
        match structure:
            case Mapping():
                arguments: Any = dict(given)
            case list() | tuple():
                arguments = [given[tensor.name] for tensor in inputs]
            case _:
                (arguments,) = given.values()  # the only one, whatever the samples call it
        outputs = model(arguments, training=False)
        return named_outputs(outputs, names if len(set(names)) == len(names) else ())

    return Loaded(call, model, layers, inputs)


def _structure(model: Any) -> Any:
    """How the model takes its inputs; a Sequential that was never called does not say."""
    return getattr(model, "input", model.inputs[0] if len(model.inputs) == 1 else model.inputs)


def _inputs(model: Any) -> dict[str, Any]:
    structure = _structure(model)
    if isinstance(structure, Mapping):
        return dict(structure)
    return {tensor.name: tensor for tensor in model.inputs}


def _of_saved_model(folder: Path) -> Loaded:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise UsageError(f"the SavedModel cannot be read: {reason}") from error
    if "serving_default" not in loaded.signatures:
        known = ", ".join(loaded.signatures) or "none"
        raise UsageError(
            f"the SavedModel has no signature 'serving_default' (it has {known}); save it with one"
        )
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    inputs = tuple(_tensor(name, spec) for name, spec in specs.items())

    def call(given: Mapping[str, Any]) -> dict[str, Any]:
        return dict(
            signature(**{name: tf.cast(given[name], spec.dtype) for name, spec in specs.items()})
        )

    return Loaded(call, loaded, (), inputs)


def _tensor(name: str, value: Any) -> Tensor:
    dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
    return Tensor(name, tuple(value.shape), dtype)


def _layers(model: Any) -> tuple[Any, ...]:
    """The model's layers and operations, those of inner models and wrappers included."""
    if not model.built:
        return ()
    layers = list(model._flatten_layers())
    operations = [operation for layer in layers for operation in getattr(layer, "operations", ())]
    return tuple({id(part): part for part in (*layers[1:], *operations)}.values())


def _refuse_code(path: Path) -> None:
    """Refuse layers that hold code, or need code that is not Keras's, before Keras sees the file.

    Raises:
        UsageError: the file has one, or no configuration.
    """
    try:
        config = json.loads(_config(path))
    except Exception as error:
        raise UsageError(f"{path.name} is damaged, or no Keras model: {error}") from error
    for part in _objects(config):
        kind, settings = str(part.get("class_name")), part.get("config")
        name = settings.get("name", "") if isinstance(settings, dict) else ""
        if kind in _CODE:
            raise UsageError(
                f"{path.name} has the {kind.strip('_')} layer {name!r}, which is code inside a "
                f"file and is not run; {_WAY_OUT}"
            )
        home, registered = str(part.get("module") or "keras"), part.get("registered_name")
        if home.split(".")[0] not in _OWN or (isinstance(registered, str) and ">" in registered):
            raise UsageError(
                f"{path.name} needs the custom class {kind!r} (layer {name!r}), whose code is not "
                f"in the file and is not imported; {_WAY_OUT}"
            )


def _config(path: Path) -> str | bytes:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json")
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise ValueError("it holds weights only; build the model in a recipe")
        return config if isinstance(config, str | bytes) else str(config)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from _objects(item)
