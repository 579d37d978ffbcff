"""Peer: Ray Train's TorchTrainer on two workers up to the first step, as Ray's guide writes it.

    FIRST_STEP_FOLDER=... python -m benchmarks.peers.ray_train

The model is that of `recipes/first_step.py`, written by hand. Every worker writes the wall time, in
seconds since 1970, at which its first optimizer step ended to a file of its own in the folder.
See docs.ray.io/en/latest/train/getting-started-pytorch.html.
"""

import os
import tempfile
import time
from pathlib import Path

import ray
import ray.train
import torch
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, prepare_data_loader, prepare_model
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def train_func(config: dict[str, str]) -> None:
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))
    model = prepare_model(model)
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(64, 32, generator=generator)
    labels = torch.randint(10, (64,), generator=generator)
    world = ray.train.get_context().get_world_size()
    loader = DataLoader(TensorDataset(samples, labels), batch_size=64 // world, shuffle=True)
    loader = prepare_data_loader(loader)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for features, targets in loader:
        optimizer.zero_grad()
        loss = criterion(model(features), targets)
        loss.backward()
        optimizer.step()
        path = Path(config["folder"]) / f"torch-{os.getpid()}"
        path.write_text(repr(time.time()))
    ray.train.report({"loss": loss.item()})


def main() -> None:
    ray.init("local")  # not one that happens to run here
    with tempfile.TemporaryDirectory() as storage:
        trainer = TorchTrainer(
            train_func,
            train_loop_config={"folder": os.environ["FIRST_STEP_FOLDER"]},
            scaling_config=ScalingConfig(num_workers=2, use_gpu=False),
            run_config=RunConfig(storage_path=storage, name="first_step"),
        )
        trainer.fit()


if __name__ == "__main__":
    main()
