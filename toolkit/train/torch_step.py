"""One optimizer step of one torch worker, with all that a recipe may ask of it.

Precision, micro-batches, clipping and loss scaling are here; which samples, which learning rate
and which random numbers is for `toolkit.train.torch` to say.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from toolkit.errors import RecipeError
from toolkit.recipe import Recipe
from toolkit.train import torch_parts

_AS_IT_IS = contextlib.nullcontext()


class Step:
    """The arithmetic of a step.

    Args:
        recipe: what to do.
        model: the module to train, wrapped in DistributedDataParallel with several workers.
        names: of the inputs, in order.
        world: number of workers.
        device: 'cpu' or 'cuda'.

    Attributes:
        loss: function of (outputs, targets) with one value a sample.
        optimizer: of the parameters that are trained.
        scaler: of the loss, with float16, or None.
    """

    def __init__(
        self, recipe: Recipe, model: Any, names: Sequence[str], world: int, device: str
    ) -> None:
        import torch

        self._recipe, self._model, self._names, self._world = recipe, model, names, world
        self.loss = torch_parts.loss(recipe)
        self._own = recipe.train_step.torch if recipe.train_step is not None else None
        self._half = None if recipe.precision == "float32" else getattr(torch, recipe.precision)
        self._autocast = torch.autocast(device, self._half) if self._half else _AS_IT_IS
        self._unproven = world > 1  # whether every parameter gets a gradient
        self._trained = [item for item in model.parameters() if item.requires_grad]
        self.optimizer = torch_parts.optimizer(recipe, model)
        self.scaler = torch.amp.GradScaler(device) if recipe.precision == "float16" else None

    def run(self, inputs: Sequence[Any], targets: Any, shares: Any, size: int) -> Any:
        """Train one step.

        Args:
            inputs: in order, each [batch, ...].
            targets: [batch, ...].
            shares: [batch], what each sample's loss counts.
            size: of the global batch.

        Returns:
            The weighted sum of the losses, a detached scalar.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(inputs, targets, shares, size)
        if self._unproven:
            self._check_gradients()
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self._recipe.clip_norm is not None:
            torch_parts.clip(self._trained, self._recipe.clip_norm)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        return loss

    def _backward(self, inputs: Sequence[Any], targets: Any, shares: Any, size: int) -> Any:
        """Gradients of the whole batch, in micro-batches where the recipe asks for them.

        All ranks take the same number, one that leaves no micro-batch of any rank empty.
        """
        count = min(self._recipe.accumulate, size // self._world)
        if count <= 1:
            return self._backward_part(inputs, targets, shares)
        total = 0
        parts = zip(*(item.tensor_split(count) for item in [targets, shares, *inputs]), strict=True)
        for index, (part_targets, part_shares, *part_inputs) in enumerate(parts, start=1):
            last = index == count or self._world == 1
            with _AS_IT_IS if last else self._model.no_sync():
                total = total + self._backward_part(part_inputs, part_targets, part_shares)
        return total

    def _backward_part(self, inputs: Sequence[Any], targets: Any, shares: Any) -> Any:
        loss = self._losses(inputs, targets).dot(shares)
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        return loss.detach()

    def _losses(self, inputs: Sequence[Any], targets: Any) -> Any:
        """Loss of each sample, in float32."""
        if self._own is not None:
            with self._autocast:
                losses = self._own(
                    self._model, dict(zip(self._names, inputs, strict=True)), targets
                )
            if losses.shape != (len(targets),):
                raise RecipeError(
                    f"recipe {self._recipe.name!r}, field 'train_step': the function for torch "
                    f"must return one loss a sample, shape ({len(targets)},), not "
                    f"{tuple(losses.shape)}"
                )
            return losses if self._half is None else losses.float()
        if self._half is None:
            return self.loss(self._model(*inputs), targets)
        with self._autocast:
            outputs = self._model(*inputs)
        return self.loss(outputs.float(), targets)

    def _check_gradients(self) -> None:
        """Refuse parameters outside the loss: DDP waits for them, and skips their neighbours."""
        self._unproven = False
        model = self._model.module
        missing = [
            name.removeprefix("_orig_mod.")
            for name, item in model.named_parameters()
            if item.requires_grad and item.grad is None
        ]
        if missing:
            raise RecipeError(
                f"recipe {self._recipe.name!r}: the loss does not depend on {', '.join(missing)}, "
                "which several workers cannot train; name them in 'frozen', remove them, or use "
                "one worker"
            )
