"""Peer: data-parallel training as a PyTorch user writes it by hand, started with torchrun.

    torchrun --nproc-per-node 2 -m benchmarks.peers.torchrun_ddp RECIPE --epochs 4

Data, model, optimizer and learning rate come from the recipe; the loop, the sampler and the loader
are PyTorch's own. Rank 0 prints one JSON object: steps a second after a warm-up epoch, and the mean
loss of the last epoch. With one process there is no process group and no DDP wrapper.
"""

import argparse
import json
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from toolkit.data.load import Samples, load
from toolkit.recipe import Recipe
from toolkit.source import find
from toolkit.specs import Adam


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--epochs", type=int, required=True, help="timed epochs")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        dist.init_process_group("gloo")

    recipe = find(options.recipe).load()
    dataset = make_dataset(load(recipe).train)
    sampler = DistributedSampler(dataset, world, rank, seed=recipe.seed)
    loader = DataLoader(dataset, batch_size=recipe.global_batch // world, sampler=sampler)
    torch.manual_seed(recipe.seed)
    model = recipe.torch()
    if world > 1:
        model = DistributedDataParallel(model)
    criterion = nn.CrossEntropyLoss()
    optimizer = make_optimizer(recipe, model)
    scheduler = make_scheduler(recipe, optimizer, (options.epochs + 1) * len(loader))

    model.train()
    seconds = 0.0
    for epoch in range(options.epochs + 1):
        sampler.set_epoch(epoch)
        total_loss = 0.0
        start = time.perf_counter()
        for features, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(features), labels)
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total_loss += loss.detach()
        loss = float(total_loss) / len(loader)
        if epoch > 0:  # the first one is the warm-up
            seconds += time.perf_counter() - start

    if rank == 0:
        speed = options.epochs * len(loader) / seconds
        print(json.dumps({"steps_per_second": speed, "loss": loss}))
    if world > 1:
        dist.destroy_process_group()


def make_dataset(samples: Samples) -> TensorDataset:
    (inputs,) = samples.inputs.values()
    return TensorDataset(torch.from_numpy(inputs), torch.from_numpy(samples.targets))


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    rate = recipe.optimizer.learning_rate
    if isinstance(recipe.optimizer, Adam):
        return torch.optim.Adam(model.parameters(), lr=rate)
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=recipe.optimizer.momentum)


def make_scheduler(
    recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    if recipe.schedule is None:
        return None
    factor = recipe.schedule.factor
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, steps))


if __name__ == "__main__":
    main()
