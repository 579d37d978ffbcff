"""Batch normalisation over the whole global batch, on gloo as well as on nccl.

torch's own `SyncBatchNorm` refuses CPU tensors. The layer here is that class with the missing
arithmetic, and it leaves out the sample that fills an empty shard. Names of parameters and buffers
stay those of plain batch normalisation; in eval mode the layer computes, and exports, the same.
"""

import functools
from collections.abc import Callable
from typing import Any


def synchronize(model: Any, device: str) -> tuple[Any, list[Any]]:
    """Replace every batch normalisation of `model`; needs a process group.

    Args:
        model: a module.
        device: 'cpu' or 'cuda', where it trains.

    Returns:
        The model, and the new layers. Each takes statistics of all ranks' inputs while training,
        without this rank's where its `padding` is True.
    """
    from torch.nn import SyncBatchNorm

    model = SyncBatchNorm.convert_sync_batchnorm(model)
    layers = [layer for layer in model.modules() if isinstance(layer, SyncBatchNorm)]
    for layer in layers:
        layer.__class__ = _layers()[device]  # DDP refuses torch's class on the CPU
        layer.padding = False
    return model, layers


@functools.cache
def _layers() -> dict[str, Any]:
    """The layer's class by device."""
    from torch.nn import SyncBatchNorm
    from torch.nn.modules.batchnorm import _BatchNorm

    class CpuBatchNorm(_BatchNorm):  # type: ignore[misc]
        def _check_input_dim(self, x: Any) -> None:
            SyncBatchNorm._check_input_dim(self, x)

        def forward(self, x: Any) -> Any:
            if not self.training:
                return super().forward(x)
            return _without_padding(self, x, functools.partial(_normalize, self))

    class CudaBatchNorm(SyncBatchNorm):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            if not self.training:
                return super().forward(x)
            return _without_padding(self, x, super().forward)

    return {"cpu": CpuBatchNorm, "cuda": CudaBatchNorm}


def _without_padding(layer: Any, x: Any, normalize: Callable[[Any], Any]) -> Any:
    """Let padding through, but take part with an empty batch in what the ranks exchange."""
    import torch

    return torch.cat([normalize(x[:0]), x]) if layer.padding else normalize(x)


def _normalize(layer: Any, x: Any) -> Any:
    """One training forward of a layer on the CPU, running statistics included."""
    import torch

    with torch.no_grad():
        mean, var, count = _statistics(x.detach().float())
        if count < 2:
            raise ValueError("batch normalisation needs more than one value per channel to train")
        if layer.track_running_stats:
            layer.num_batches_tracked.add_(1)
            share = layer.momentum
            if share is None:  # the average over all batches
                share = 1 / layer.num_batches_tracked.item()
            layer.running_mean.lerp_(mean, share)
            layer.running_var.lerp_(var * (count / (count - 1)), share)
        scale = torch.rsqrt(var + layer.eps)
    normal = _function().apply(x.float(), mean, scale, count)
    if layer.weight is not None:
        normal = normal * _spread(layer.weight, x)
    if layer.bias is not None:
        normal = normal + _spread(layer.bias, x)
    return normal.to(x.dtype)


def _statistics(x: Any) -> tuple[Any, Any, float]:
    """Mean and biased variance of each channel over all ranks, and the values of one channel.

    Ranks exchange means and squared deviations (Chan et al., 1983): unlike sums of squares, they
    lose no digits where the mean is large.
    """
    import torch
    import torch.distributed as dist

    channels = x.shape[1]
    own = x.new_zeros(2 * channels + 1)
    if len(x):
        own[-1] = x.numel() // channels
        var, mean = torch.var_mean(x, _rest(x), correction=0)
        own[:channels], own[channels:-1] = mean, var
    ranks = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(ranks, own)
    table = torch.stack(ranks).double()
    means, variances, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
    total = counts.sum()
    mean = (counts * means).sum(0) / total
    var = (counts * (variances + (means - mean) ** 2)).sum(0) / total
    return mean.to(x.dtype), var.to(x.dtype), float(total)


@functools.cache
def _function() -> Any:
    import torch
    import torch.distributed as dist

    class Normalize(torch.autograd.Function):  # type: ignore[misc]
        """(x - mean) * scale, where mean and scale depend on the x of all ranks."""

        @staticmethod
        def forward(ctx: Any, x: Any, mean: Any, scale: Any, count: float) -> Any:
            normal = (x - _spread(mean, x)) * _spread(scale, x)
            ctx.save_for_backward(normal, scale)
            ctx.count = count
            return normal

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            normal, scale = ctx.saved_tensors
            rest = _rest(normal)
            sums = torch.stack([gradient.sum(rest), (gradient * normal).sum(rest)])
            dist.all_reduce(sums)
            plain, along = sums / ctx.count
            centred = gradient - _spread(plain, normal) - normal * _spread(along, normal)
            return centred * _spread(scale, normal), None, None, None

    return Normalize


def _rest(x: Any) -> list[int]:
    """All dimensions but that of the channels."""
    return [dim for dim in range(x.dim()) if dim != 1]


def _spread(channels: Any, x: Any) -> Any:
    """A vector of channels in a shape that broadcasts over `x` [batch, channels, ...]."""
    return channels.view(1, -1, *[1] * (x.dim() - 2))
