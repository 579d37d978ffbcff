"""PyTorch: DistributedDataParallel over gloo (CPU) or nccl (GPU). Knows nothing of Ray."""

import datetime
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.builders import torch_model
from toolkit.recipe import SGD, Adam, Array, PerFramework, Recipe
from toolkit.train.adapter import Adapter, Chunk

_RENDEZVOUS = datetime.timedelta(seconds=120)


class TorchAdapter(Adapter):
    """A plain module with one worker, wrapped in DistributedDataParallel with several."""

    def start(self, peers: Sequence[str], example: Mapping[str, Array]) -> None:
        import torch

        torch.set_num_threads(self.place.threads)
        torch.manual_seed(self.recipe.seed)
        self._device = torch.device("cuda" if self.place.gpus else "cpu")
        self._join(peers)
        self._model = torch_model(self.recipe).to(self._device)
        self._trained = self._wrap(self._model)
        self._optimizer = _optimizer(self.recipe, self._model)
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]
        self._loss = _loss(self.recipe)

    def train(self, chunks: Sequence[Chunk]) -> Array:
        import torch

        (chunk,) = chunks
        inputs = [self._tensor(array).unbind() for array in chunk.inputs.values()]
        targets = self._tensor(chunk.targets).unbind()
        scale = self.place.world / chunk.sizes[:, None]  # DDP divides by the number of workers
        shares = self._tensor((chunk.weights * scale).astype(np.float32)).unbind()
        losses = []
        self._trained.train()
        for index, share in enumerate(shares):
            if chunk.factors is not None:
                self._set_rate(float(chunk.factors[index]))
            outputs = self._trained(*[batches[index] for batches in inputs])
            loss = torch.dot(self._loss(outputs, targets[index]), share)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().double().numpy() / self.place.world  # type: ignore[no-any-return]

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        import torch

        self._model.eval()
        with torch.inference_mode():
            outputs = self._model(*[self._tensor(array) for array in inputs.values()])
        return outputs.cpu().numpy()  # type: ignore[no-any-return]

    def losses(self, outputs: Array, targets: Array) -> Array:
        import torch

        with torch.inference_mode():
            return np.asarray(self._loss(torch.tensor(outputs), torch.tensor(targets)))

    def all_sum(self, values: Array) -> Array:
        if self.place.world == 1:
            return values
        import torch.distributed as dist

        tensor = self._tensor(values)
        dist.all_reduce(tensor)
        return tensor.cpu().numpy()  # type: ignore[no-any-return]

    def files(self, example: Mapping[str, Array]) -> dict[str, bytes]:
        if self.place.rank:
            return {}
        from safetensors.torch import save

        state = {
            name: tensor.cpu().contiguous().clone()
            for name, tensor in self._model.state_dict().items()
        }
        files = {"model.safetensors": save(state)}
        try:
            files["model.pt2"] = self._program(example)
        except Exception as error:  # noqa: BLE001 - dynamic graphs train, but cannot be traced
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            self.notes.append(f"no model.pt2: torch.export cannot trace the model: {reason}")
        return files

    def _program(self, example: Mapping[str, Array]) -> bytes:
        """The model as a torch.export program, with a dynamic batch where it has one."""
        import torch

        inputs = tuple(self._tensor(array) for array in example.values())
        shapes = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
        program = torch.export.export(self._model.eval(), inputs, dynamic_shapes=shapes)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        return buffer.getvalue()

    def stop(self) -> None:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()

    def _join(self, peers: Sequence[str]) -> None:
        if self.place.world == 1:
            return
        import torch.distributed as dist

        dist.init_process_group(
            "nccl" if self.place.gpus else "gloo",
            init_method=f"tcp://{peers[0]}",
            rank=self.place.rank,
            world_size=self.place.world,
            timeout=_RENDEZVOUS,
        )

    def _wrap(self, model: Any) -> Any:
        trains = any(parameter.requires_grad for parameter in model.parameters())
        if self.place.world == 1 or not trains:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def _set_rate(self, factor: float) -> None:
        for group, base in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * factor

    def _tensor(self, array: Array) -> Any:
        import torch

        if not array.flags.writeable:  # arrays from the object store are shared and read-only
            array = array.copy()
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _optimizer(recipe: Recipe, model: Any) -> Any:
    import torch

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    spec = recipe.optimizer
    if isinstance(spec, PerFramework):
        assert spec.torch is not None
        return spec.torch(parameters)
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


def _loss(recipe: Recipe) -> Callable[[Any, Any], Any]:
    """Loss as a function of (outputs, targets) with one value a sample."""
    from torch.nn import functional

    if isinstance(recipe.loss, PerFramework):
        assert recipe.loss.torch is not None
        loss: Callable[[Any, Any], Any] = recipe.loss.torch()
        return loss
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
