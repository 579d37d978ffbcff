"""Peer: MultiWorkerMirroredStrategy with a custom loop, as TensorFlow's own guide writes it.

    TF_CONFIG='{"cluster": ...}' python -m benchmarks.peers.mwms_loop RECIPE --epochs 4

See tensorflow.org/tutorials/distribute/multi_worker_with_ctl. Data, model, optimizer and learning
rate come from the recipe. One process a worker; worker 0 prints one JSON object: steps a second
after a warm-up epoch, and the mean loss of the last epoch.
"""

import argparse
import json
import os
import time

import keras
import tensorflow as tf

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

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(max(2, options.threads))
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    recipe = find(options.recipe).load()
    train = load(recipe).train
    batch = recipe.global_batch
    steps = -(-len(train) // batch)
    dataset = make_dataset(train, batch, recipe.seed)
    iterator = iter(strategy.experimental_distribute_dataset(dataset))

    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = recipe.keras()
        optimizer = make_optimizer(recipe, (options.epochs + 1) * steps)
        optimizer.build(model.trainable_variables)
        loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)

    @tf.function
    def train_step(iterator: tf.distribute.DistributedIterator) -> tf.Tensor:
        def step_fn(batch_inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            features, labels = batch_inputs
            with tf.GradientTape() as tape:
                losses = loss_object(labels, model(features, training=True))
                loss = tf.nn.compute_average_loss(losses, global_batch_size=batch)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        per_replica_losses = strategy.run(step_fn, args=(next(iterator),))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica_losses, axis=None)

    seconds = 0.0
    for epoch in range(options.epochs + 1):
        total_loss = 0.0
        start = time.perf_counter()
        for _ in range(steps):
            total_loss += train_step(iterator)
        loss = float(total_loss) / steps
        if epoch > 0:  # the first one is the warm-up
            seconds += time.perf_counter() - start

    if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0:
        steps_per_second = options.epochs * steps / seconds
        print(json.dumps({"steps_per_second": steps_per_second, "loss": loss}))


def make_dataset(samples: Samples, batch: int, seed: int) -> tf.data.Dataset:
    (inputs,) = samples.inputs.values()
    dataset = tf.data.Dataset.from_tensor_slices((inputs, samples.targets))
    dataset = dataset.shuffle(len(samples), seed=seed).batch(batch).repeat()
    policy = tf.data.Options()
    policy.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(policy).prefetch(tf.data.AUTOTUNE)


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rate = recipe.optimizer.learning_rate
    if recipe.schedule is not None:
        warmup = recipe.schedule.warmup_steps
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup
        )
    if isinstance(recipe.optimizer, Adam):
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, recipe.optimizer.momentum)


if __name__ == "__main__":
    main()
