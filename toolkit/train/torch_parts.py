"""What a torch training is put together from: first weights, frozen parts, optimizer, loss.

Each function reads the recipe and the built model; running the steps is `toolkit.train.torch`.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from toolkit.errors import RecipeError, nearest
from toolkit.recipe import Recipe
from toolkit.specs import SGD, Adam, PerFramework


def load_weights(recipe: Recipe, model: Any, content: bytes) -> str | None:
    """Copy every tensor of a .safetensors file that has its place in the model.

    A tensor has its place where name and shape agree; a new head therefore keeps the values that
    its builder gave it.

    Returns:
        A note for the user, or None where file and model have the same tensors.

    Raises:
        RecipeError: no safetensors file, or nothing in it fits.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        given = load(content)
    except SafetensorError as error:
        raise _fail(recipe, "start_from", f"is not a .safetensors file: {error}") from error
    own: Mapping[str, Any] = model.state_dict()
    fitting = [name for name in own if name in given and given[name].shape == own[name].shape]
    if not fitting:
        raise _fail(
            recipe,
            "start_from",
            f"no tensor fits the model by name and shape; the file has {_few(given)}, the model "
            f"{_few(own)}",
        )
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(given[name])
    new, unused = sorted(set(own) - set(fitting)), sorted(set(given) - set(fitting))
    if not new and not unused:
        return None
    note = f"started from {len(fitting)} of {len(own)} tensors; new: {_few(new)}"
    return f"{note}; not used: {_few(unused)}" if unused else note


def freeze(recipe: Recipe, model: Any) -> list[Any]:
    """Exclude what `recipe.frozen` matches from training.

    Returns:
        The batch normalisation layers that have no trained parameter left: they must keep their
        statistics, too, and so stay in eval mode.

    Raises:
        RecipeError: a pattern matches nothing, or nothing is left to train.
    """
    parameters, patterns = dict(model.named_parameters()), recipe.frozen_in("torch")
    for pattern in patterns:
        found = [name for name in parameters if fnmatchcase(name, pattern)]
        if not found:
            hint = nearest(pattern, parameters)
            raise _fail(recipe, "frozen", f"{pattern!r} matches no parameter; {hint}")
        for name in found:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        field = "frozen" if patterns else "torch"
        raise _fail(recipe, field, "leaves no parameter to train")
    return [
        layer for _, layer in batch_norms(model) if recipe.frozen_in("torch") and _is_frozen(layer)
    ]


def batch_norms(model: Any) -> list[tuple[str, Any]]:
    """All batch normalisation layers with their names."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return [item for item in model.named_modules() if isinstance(item[1], _BatchNorm)]


def optimizer(recipe: Recipe, model: Any) -> Any:
    """The recipe's optimizer over the parameters that are trained.

    Raises:
        RecipeError: the recipe's own optimizer function fails.
    """
    import torch

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    spec = recipe.optimizer
    if isinstance(spec, PerFramework):
        assert spec.torch is not None
        try:
            return spec.torch(parameters)
        except Exception as error:
            problem = f"the function for torch failed: {type(error).__name__}: {error}"
            raise _fail(recipe, "optimizer", problem) from error
    if isinstance(spec, SGD):
        return torch.optim.SGD(
            parameters, spec.learning_rate, spec.momentum, nesterov=spec.nesterov, fused=True
        )
    assert isinstance(spec, Adam)
    make = torch.optim.AdamW if spec.weight_decay else torch.optim.Adam
    return make(
        parameters,
        spec.learning_rate,
        betas=(spec.beta_1, spec.beta_2),
        eps=spec.epsilon,
        weight_decay=spec.weight_decay,
        fused=True,
    )


def loss(recipe: Recipe) -> Callable[[Any, Any], Any]:
    """Loss as a function of (outputs, targets) with one value a sample."""
    from torch.nn import functional

    if isinstance(recipe.loss, PerFramework):
        assert recipe.loss.torch is not None
        own: Callable[[Any, Any], Any] = recipe.loss.torch()
        return own
    each: Callable[..., Any]
    match recipe.loss:
        case "mse":
            each = functional.mse_loss
        case "mae":
            each = functional.l1_loss
        case "binary_cross_entropy":
            each = functional.binary_cross_entropy_with_logits
        case _:
            return lambda out, y: functional.cross_entropy(out, y, reduction="none")
    return lambda out, y: each(out, y, reduction="none").flatten(1).mean(1)


def clip(parameters: list[Any], norm: float) -> None:
    """Scale all gradients so that their global norm is at most `norm`."""
    import torch

    gradients = [item.grad for item in parameters if item.grad is not None]
    # torch's own clip adds 1e-6 to the norm, which Keras does not
    factor = (norm / torch.nn.utils.get_total_norm(gradients)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)


def average_one_by_one(world: int, bucket: Any) -> Any:
    """A communication hook that averages each gradient by itself.

    DDP arranges its buckets anew after the first step, and with them the order of sums over three
    and more ranks: a restarted training would differ from one that went on.
    """
    import torch.distributed as dist

    *earlier, last = [dist.all_reduce(item, async_op=True) for item in bucket.gradients()]
    for work in earlier:
        work.wait()
    return last.get_future().then(lambda _: bucket.buffer().div_(world))


def batch_dependent(recipe: Recipe, model: Any, world: int) -> list[str]:
    """Layers whose result depends on how a batch is split, each with the reason."""
    split = world > 1 and not recipe.sync_batch_norm
    found = []
    for name, layer in batch_norms(model) if split or recipe.accumulate > 1 else []:
        if not (recipe.frozen_in("torch") and _is_frozen(layer)):
            what = "its own part of the batch" if split else "one micro-batch at a time"
            found.append(f"{name or 'model'}: uses the statistics of {what}")
    for name, layer in model.named_modules() if world > 1 else []:
        if _drops(layer):
            found.append(f"{name or 'model'}: draws its own random numbers on each worker")
    return found


def _drops(layer: Any) -> bool:
    """Whether a layer is dropout, or has one inside as attention and recurrent layers do."""
    from torch.nn.modules.dropout import _DropoutNd

    rate = layer.p if isinstance(layer, _DropoutNd) else getattr(layer, "dropout", 0)
    return isinstance(rate, float) and rate > 0


def _is_frozen(layer: Any) -> bool:
    parameters = list(layer.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _few(names: Any, limit: int = 5) -> str:
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return (", ".join(listed[:limit]) or "none") + more


def _fail(recipe: Recipe, field: str, problem: str) -> RecipeError:
    return RecipeError(f"recipe {recipe.name!r}, field {field!r}: {problem}")
