"""Peer: Lightning's Trainer on the CPU, DDP over gloo where it has several processes.

    torchrun --nproc-per-node 2 -m benchmarks.peers.lightning_ddp RECIPE --epochs 4

Data, model, optimizer and learning rate come from the recipe, the rest is Lightning's own.
What ours does not do either is off: no logger, checkpoints, progress bar, summary or validation.
Rank 0 prints one JSON object: steps a second after a warm-up epoch, and the last step's loss.
"""

import argparse
import json
import logging
import os
import time
import warnings
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.peers.torchrun_ddp import make_dataset, make_optimizer, make_scheduler
from toolkit.data.load import load
from toolkit.recipe import Recipe
from toolkit.source import find


class Module(lightning.LightningModule):
    """The recipe's model, loss, optimizer and schedule."""

    def __init__(self, recipe: Recipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.model, self.criterion = recipe.torch(), nn.CrossEntropyLoss()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        features, labels = batch
        return self.criterion(self.model(features), labels)

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.recipe, self)
        scheduler = make_scheduler(self.recipe, optimizer, self.steps)
        if scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


class Stopwatch(lightning.Callback):
    """Time of all epochs but the first."""

    seconds = loss = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.begun = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.last = outputs["loss"]

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.loss = float(self.last)
        if trainer.current_epoch > 0:  # the first one is the warm-up
            self.seconds += time.perf_counter() - self.begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--epochs", type=int, required=True, help="timed epochs")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    options = parser.parse_args()

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    world = int(os.environ.get("WORLD_SIZE", "1"))

    recipe = find(options.recipe).load()
    batch = recipe.global_batch // world
    dataset = make_dataset(load(recipe).train)
    loader = DataLoader(dataset, batch_size=batch, shuffle=True)
    steps = -(-len(dataset) // recipe.global_batch)
    lightning.seed_everything(recipe.seed, verbose=False)
    stopwatch = Stopwatch()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=world,
        strategy=DDPStrategy(process_group_backend="gloo") if world > 1 else "auto",
        max_epochs=options.epochs + 1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[stopwatch],
    )
    trainer.fit(Module(recipe, (options.epochs + 1) * steps), loader)
    if trainer.is_global_zero:
        speed = options.epochs * steps / stopwatch.seconds
        print(json.dumps({"steps_per_second": speed, "loss": stopwatch.loss}))


if __name__ == "__main__":
    main()
