"""torch modules and programs. State is read from safetensors or with `weights_only`."""

import importlib
import importlib.util
import inspect
import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.manifest import MEMBER, Manifest
from edge.tensor import Tensor
from toolkit.builders import torch_model
from toolkit.errors import NotFoundError, UsageError
from toolkit.models.source import ModelSource
from toolkit.models.structure import batch_of, in_order, named_outputs


@dataclass(frozen=True)
class Loaded:
    """A torch model, whatever it was stored as.

    Attributes:
        call: from inputs by name to outputs by name, tensors [batch, ...].
        module: the module in evaluation mode.
        inputs: what it takes, where it says so; axis 0 counts the samples.
    """

    call: Callable[[Mapping[str, Any]], dict[str, Any]]
    module: Any
    inputs: tuple[Tensor, ...] = ()

    @property
    def batch(self) -> int | None:
        """The only batch size that a program takes, or None."""
        return batch_of(self.inputs)


def load(model: ModelSource) -> Loaded:
    """Load a model of kind 'recipe', 'function' or 'pt2'.

    Raises:
        UsageError: file, function and state do not fit each other, or the state holds code.
    """
    match model.kind:
        case "recipe":
            assert model.recipe is not None
            recipe = model.recipe.load()
            module = torch_model(recipe)
            module.load_state_dict(_state(model))
            return _of_module(module.eval(), [recipe.output_name])
        case "function":
            return _of_module(_with_state(_call(model.function), model).eval())
        case _:
            return _of_program(model)


def _of_module(module: Any, names: list[str] | None = None) -> Loaded:
    parameters = [
        item.name
        for item in inspect.signature(module.forward).parameters.values()
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]

    def call(inputs: Mapping[str, Any]) -> dict[str, Any]:
        if len(parameters) == 1 and len(inputs) > 1:  # one dictionary
            outputs = module(dict(inputs))
        elif len(parameters) < len(inputs):  # forward(*inputs)
            outputs = module(*inputs.values())
        else:
            outputs = module(*in_order(inputs, parameters))
        return named_outputs(outputs, names or ())

    return Loaded(call, module)


def _of_program(model: ModelSource) -> Loaded:
    import torch

    extra = {MEMBER: ""}
    # torch.export.load unpickles what it cannot read otherwise, which may run code.
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        program = torch.export.load(io.BytesIO(model.content), extra_files=extra)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UsageError(f"the .pt2 file cannot be read: {reason}; export it again") from error
    said = Manifest.from_json(extra[MEMBER]) if extra[MEMBER] else None  # the toolkit made it
    own = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in own]
    names = [tensor.name for tensor in said.inputs] if said else _names(program, list(own))
    inputs = tuple(
        Tensor(name, tuple(map(_size, node.meta["val"].shape)), _dtype(node.meta["val"].dtype))
        for name, node in zip(names, nodes, strict=True)
    )
    structure = program.call_spec.in_spec
    module = program.module()

    def call(given: Mapping[str, Any]) -> dict[str, Any]:
        positional, named = torch.utils._pytree.tree_unflatten(in_order(given, names), structure)
        return named_outputs(
            module(*positional, **named), [t.name for t in said.outputs] if said else ()
        )

    return Loaded(call, module, inputs)


def _names(program: Any, parameters: list[str]) -> list[str]:
    """Names of a program's inputs: their keys where they come in a dictionary.

    Args:
        program: from torch.export.
        parameters: its own names, in the order of its flattened inputs.
    """
    from torch.utils import _pytree

    structure = program.call_spec.in_spec
    whole = _pytree.tree_unflatten(range(structure.num_leaves), structure)
    paths, _ = _pytree.tree_flatten_with_path(whole)
    keys = [getattr(path[-1], "key", None) for path, _ in paths]
    pairs = zip(keys, parameters, strict=True)
    return [name if key is None else str(key) for key, name in pairs]


def _size(size: Any) -> int | None:
    return size if isinstance(size, int) else None


def _dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _call(reference: str) -> Any:
    """What the user's function returns.

    Raises:
        NotFoundError: there is no such module or function.
        UsageError: it fails, or returns no module.
    """
    place, _, name = reference.rpartition(":")
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else _import(place)
        function = getattr(module, name)
    except (ImportError, AttributeError, OSError) as error:
        raise NotFoundError(f"{reference} cannot be found: {error}") from error
    try:
        built = function()
    except Exception as error:
        raise UsageError(f"{reference} failed: {type(error).__name__}: {error}") from error
    if not hasattr(built, "named_parameters"):
        raise UsageError(f"{reference} must return a torch.nn.Module, not {type(built).__name__}")
    return built


def _import(name: str) -> Any:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return importlib.import_module(name)


def _import_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"toolkit_model_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _with_state(module: Any, model: ModelSource) -> Any:
    if not model.files:
        return module
    try:
        result = module.load_state_dict(_state(model), strict=False)
    except RuntimeError as error:  # shapes that differ
        (name,) = model.files
        reason = str(error).strip().splitlines()[-1].strip()
        raise UsageError(f"{name} does not fit {model.function}: {reason}") from error
    missing, unexpected = list(result.missing_keys), list(result.unexpected_keys)
    if missing or unexpected:
        told = [f"lacks {', '.join(missing[:5])}"] if missing else []
        told += [f"has {', '.join(unexpected[:5])}, which the model lacks"] if unexpected else []
        raise UsageError(f"{next(iter(model.files))} {' and '.join(told)}; give the right weights")
    return module


def _state(model: ModelSource) -> Any:
    """The state dictionary; nothing in the file is run.

    Raises:
        UsageError: the file is damaged, or holds more than tensors.
    """
    (name,) = model.files
    try:
        if name.endswith(".safetensors"):
            from safetensors.torch import load as load_safetensors

            return load_safetensors(model.content)
        import torch

        state = torch.load(io.BytesIO(model.content), map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UsageError(
            f"{name} cannot be read as weights alone: {reason}; save them with "
            "safetensors.torch.save_file(model.state_dict(), path)"
        ) from error
    if not isinstance(state, Mapping):
        raise UsageError(f"{name} must hold a state dictionary, not {type(state).__name__}")
    return state
