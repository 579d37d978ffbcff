"""All that torch training changes, as numpy arrays by name, and back.

Names are 'model.<name in the state dict>', 'optimizer.<parameter>.<slot>' and, with float16,
'optimizer.loss_scale' and 'optimizer.growth_tracker'. What an optimizer keeps in its parameter
groups, such as the learning rate, follows from the recipe and is left out.
"""

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from toolkit.errors import RecipeError
from toolkit.recipe import Array

_MODEL, _OPTIMIZER = "model.", "optimizer."
_SCALE, _TRACKER = "optimizer.loss_scale", "optimizer.growth_tracker"


def capture(model: Any, optimizer: Any, scaler: Any) -> dict[str, Array]:
    """Copies of weights, buffers, optimizer slots and loss scale (`scaler` may be None)."""
    arrays = {_MODEL + name: _copy(tensor) for name, tensor in model.state_dict().items()}
    for name, (state, slot) in _slots(model, optimizer).items():
        arrays[name] = _copy(state[slot])
    if scaler is not None:
        values = scaler.state_dict()
        arrays[_SCALE] = np.array(values["scale"], np.float64)
        arrays[_TRACKER] = np.array(values["_growth_tracker"], np.int64)
    return arrays


def restore(model: Any, optimizer: Any, scaler: Any, arrays: Mapping[str, Array]) -> None:
    """Set what `capture` returned; without optimizer entries the optimizer is left alone.

    Raises:
        RecipeError: names or shapes differ; names the first one.
    """
    import torch

    own = {_MODEL + name: tensor for name, tensor in model.state_dict().items()}
    given = {name: array for name, array in arrays.items() if name.startswith(_MODEL)}
    slots = {name: array for name, array in arrays.items() if name.startswith(_OPTIMIZER)}
    _compare({name: tuple(tensor.shape) for name, tensor in own.items()}, given)
    with torch.no_grad():
        if slots:  # before the weights, which making slots may change
            _restore_optimizer(model, optimizer, scaler, slots)
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(given[name])))


def _restore_optimizer(
    model: Any, optimizer: Any, scaler: Any, arrays: Mapping[str, Array]
) -> None:
    _make_slots(model, optimizer, arrays)
    slots = _slots(model, optimizer)
    wanted = {name: _shape(state[slot]) for name, (state, slot) in slots.items()}
    if scaler is not None:
        wanted |= {_SCALE: (), _TRACKER: ()}
    _compare(wanted, arrays)
    if scaler is not None:
        values = scaler.state_dict()
        values |= {"scale": float(arrays[_SCALE]), "_growth_tracker": int(arrays[_TRACKER])}
        scaler.load_state_dict(values)
    for name, (state, slot) in slots.items():
        _set(state, slot, arrays[name])


def _make_slots(model: Any, optimizer: Any, arrays: Mapping[str, Array]) -> None:
    """Let the optimizer make its slots, as it does in a first step, for the parameters named."""
    import torch

    owners = {name.rpartition(".")[0] for name in arrays}
    for name, parameter in model.named_parameters():
        known = parameter.requires_grad and _OPTIMIZER + name in owners
        parameter.grad = torch.zeros_like(parameter) if known else None
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _slots(model: Any, optimizer: Any) -> dict[str, tuple[dict[str, Any], str]]:
    """Where each slot lives: in which parameter's state, under which key."""
    return {
        f"{_OPTIMIZER}{name}.{slot}": (state, slot)
        for name, parameter in model.named_parameters()
        for state in [optimizer.state.get(parameter, {})]
        for slot, value in state.items()
        if value is not None
    }


def _compare(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Array]) -> None:
    for name, shape in wanted.items():
        if name not in given:
            raise RecipeError(f"the saved state has no {name!r}, which this model needs")
        if given[name].shape != shape:
            raise RecipeError(
                f"{name!r} has shape {given[name].shape} in the saved state, but {shape} in this "
                "model"
            )
    for name in given:
        if name not in wanted:
            raise RecipeError(f"the saved state has {name!r}, which this model does not have")


def _copy(value: Any) -> Array:
    if isinstance(value, Number | bool):
        return np.array(value)
    return np.array(value.detach().cpu().numpy())


def _shape(value: Any) -> tuple[int, ...]:
    return () if isinstance(value, Number | bool) else tuple(value.shape)


def _set(state: dict[str, Any], slot: str, array: Array) -> None:
    import torch

    if isinstance(state[slot], Number | bool):
        state[slot] = type(state[slot])(array.item())
    else:
        state[slot].copy_(torch.from_numpy(np.array(array)))
