"""PyTorch: DistributedDataParallel over gloo (CPU) or nccl (GPU). Knows nothing of Ray.

The adapter builds, wraps, feeds and reads the model. What it is put together from is in
`torch_parts`, a step's arithmetic in `torch_step`, batch normalisation over all ranks in
`torch_norm`, saved states in `torch_state`, TensorBoard's picture in `torch_graph`.
"""

import contextlib
import datetime
import gc
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.builders import torch_model
from toolkit.errors import RecipeError
from toolkit.recipe import Array
from toolkit.train import torch_graph, torch_norm, torch_parts, torch_state
from toolkit.train.adapter import Adapter, Chunk
from toolkit.train.network import interface_of
from toolkit.train.torch_step import Step

_RENDEZVOUS = datetime.timedelta(seconds=120)


class TorchAdapter(Adapter):
    """A plain module with one worker, wrapped in DistributedDataParallel with several."""

    def start(
        self, peers: Sequence[str], example: Mapping[str, Array], weights: bytes | None = None
    ) -> None:
        import torch

        recipe, place = self.recipe, self.place
        torch.set_num_threads(place.threads)
        torch.manual_seed(recipe.seed)
        if recipe.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not
            torch.use_deterministic_algorithms(True)
        self._device = torch.device("cuda" if place.gpus else "cpu")
        self._noise = int(np.random.SeedSequence([recipe.seed, place.rank]).generate_state(1)[0])
        self._join(peers)
        self._build(weights)
        trained = torch.compile(self._model) if recipe.compile else self._model
        self._trained: Any = trained if place.world == 1 else self._wrap(trained)
        self._step: Any = Step(recipe, self._trained, list(example), place.world, self._device.type)
        self._base_rates = [group["lr"] for group in self._step.optimizer.param_groups]
        self._loss = self._step.loss

    @property
    def model(self) -> Any:
        return self._model

    def train(self, chunks: Sequence[Chunk]) -> Array:
        import torch

        (chunk,) = chunks
        inputs = [self._tensor(array).unbind() for array in chunk.inputs.values()]
        targets = self._tensor(chunk.targets).unbind()
        scale = self.place.world / chunk.sizes[:, None]  # DDP divides by the number of workers
        shares = self._tensor((chunk.weights * scale).astype(np.float32)).unbind()
        self._train_mode()
        losses = []
        for index, share in enumerate(shares):
            if chunk.factors is not None:
                self._set_rate(float(chunk.factors[index]))
            size = int(chunk.sizes[index])
            self._prepare(chunk.first + index, size)
            batch = [batches[index] for batches in inputs]
            losses.append(self._run(batch, targets[index], share, size))
        self._share(self._buffers)
        return torch.stack(losses).cpu().double().numpy() / self.place.world  # type: ignore[no-any-return]

    def state(self) -> dict[str, Array]:
        return torch_state.capture(self._model, self._step.optimizer, self._step.scaler)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        torch_state.restore(self._model, self._step.optimizer, self._step.scaler, arrays)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        import torch

        self._model.eval()
        with torch.inference_mode():
            outputs = self._model(*[self._tensor(array) for array in inputs.values()])
        return outputs.cpu().numpy()  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def small_calls(self) -> Iterator[None]:
        import torch

        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(self.place.threads)

    def losses(self, outputs: Array, targets: Array) -> Array:
        import torch

        with torch.inference_mode():
            return np.asarray(self._loss(torch.tensor(outputs), torch.tensor(targets)))

    def all_sum(self, values: Array) -> Array:
        if self.place.world == 1:
            return values
        import torch.distributed as dist

        tensor = self._tensor(values).clone()  # it may share memory with `values`
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

    def graph(self, example: Mapping[str, Array]) -> bytes | None:
        inputs = tuple(self._tensor(array) for array in example.values())
        return torch_graph.graph_def(self._model, inputs)

    def batch_dependent(self) -> list[str]:
        return torch_parts.batch_dependent(self.recipe, self._model, self.place.world)

    def stop(self) -> None:
        import torch
        import torch.distributed as dist

        # DDP must not be the last owner of the group: it would join gloo's thread while it holds
        # the interpreter's lock, for which that thread may be waiting. Its parts form a cycle.
        self._trained = self._step = None
        gc.collect()
        if dist.is_initialized():
            dist.destroy_process_group()
        if self.recipe.deterministic:  # conversions may follow in this process
            torch.use_deterministic_algorithms(False)

    def _join(self, peers: Sequence[str]) -> None:
        if self.place.world == 1:
            return
        import torch.distributed as dist

        # by itself gloo takes what the host's name means, on many machines the loopback address
        own = peers[self.place.rank].rpartition(":")[0]
        if (interface := interface_of(own)) is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
        dist.init_process_group(
            "nccl" if self.place.gpus else "gloo",
            init_method=f"tcp://{peers[0]}",
            rank=self.place.rank,
            world_size=self.place.world,
            timeout=_RENDEZVOUS,
        )

    def _build(self, weights: bytes | None) -> None:
        """The model, with its first weights, frozen parts and batch normalisation."""
        recipe = self.recipe
        model = torch_model(recipe)
        note = torch_parts.load_weights(recipe, model, weights) if weights is not None else None
        self.notes += [note] if note else []
        self._still = torch_parts.freeze(recipe, model)
        self._model = model.to(self._device)
        self._synced: list[Any] = []
        if recipe.sync_batch_norm and self.place.world > 1:
            self._model, self._synced = torch_norm.synchronize(self._model, self._device.type)
        self._find_buffers()

    def _find_buffers(self) -> None:
        """What ranks must share, since each changes its own; DDP would at every forward.

        Statistics are not read while training, so it is enough to take rank 0's at the end.
        """
        self._buffers = list(self._model.buffers()) if self.place.world > 1 else []
        norms = torch_parts.batch_norms(self._model)
        statistics = {id(buffer) for _, layer in norms for buffer in layer.buffers()}
        self._read_buffers = [item for item in self._buffers if id(item) not in statistics]

    def _wrap(self, model: Any) -> Any:
        from torch.nn.parallel import DistributedDataParallel

        wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True)
        wrapped.broadcast_buffers = False  # `_share` does; the argument's name changed in 2.13
        if self.recipe.deterministic:
            average = torch_parts.average_one_by_one
            # a lambda, since torch checks the annotations of a named function
            wrapped.register_comm_hook(
                self.place.world, lambda world, bucket: average(world, bucket)
            )
        return wrapped

    def _train_mode(self) -> None:
        self._trained.train()
        for layer in self._still:
            layer.eval()

    def _prepare(self, step: int, size: int) -> None:
        """Make this rank's random numbers and buffers those of a step of the run."""
        import torch

        # the seed is all there is to restore after a restart; torch.manual_seed takes 70 us
        noise = self._noise + step
        torch.default_generator.manual_seed(noise)
        if self.place.gpus:
            torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(noise)
        self._share(self._read_buffers)
        for layer in self._synced:
            layer.padding = size <= self.place.rank

    def _run(self, inputs: list[Any], targets: Any, share: Any, size: int) -> Any:
        if not self.recipe.compile:
            return self._step.run(inputs, targets, share, size)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._step.run(inputs, targets, share, size)
        except TorchDynamoException as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise RecipeError(
                f"recipe {self.recipe.name!r}, field 'compile': torch.compile failed: {lines[0]}; "
                "install a C++ compiler such as g++, or set compile=False",
                detail=str(error),
            ) from error

    def _share(self, buffers: list[Any]) -> None:
        if buffers:
            import torch.distributed as dist

            for buffer in buffers:
                dist.broadcast(buffer, 0)

    def _set_rate(self, factor: float) -> None:
        for group, base in zip(self._step.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * factor

    def _tensor(self, array: Array) -> Any:
        import torch

        if not array.flags.writeable:  # arrays from the object store are shared and read-only
            array = array.copy()
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _program(self, example: Mapping[str, Array]) -> bytes:
        """The model as a torch.export program, with a dynamic batch where it has one."""
        import torch

        inputs = tuple(self._tensor(array) for array in example.values())
        shapes = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
        program = torch.export.export(self._model.eval(), inputs, dynamic_shapes=shapes)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        return buffer.getvalue()
