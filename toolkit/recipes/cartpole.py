"""A pole on a cart, balanced by a policy that learns from its own games (PPO).

`python -m toolkit.games FILE...` plays with exported files. One network is actor and critic: the
softmax of its two outputs is the policy, which does not depend on their mean; the mean is what the
critic thinks of the state. So the trained model, as it is exported, is a classifier of states into
'left' and 'right'.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit import (
    Adam,
    Callback,
    Data,
    Experience,
    Linear,
    PerFramework,
    Policy,
    Probe,
    Recipe,
    Rollout,
    Split,
)
from toolkit.games import Games
from toolkit.recipe import Array

PLAYERS, GAMES, STEPS = 4, 4, 512  # a player's games side by side; one takes up to 500 steps
DISCOUNT, SMOOTHING = 0.99, 0.95  # of rewards, and of advantages (GAE; Schulman et al., 2016)
CLIP, ENTROPY, CRITIC = 0.2, 0.01, 0.5  # PPO (Schulman et al., 2017)
WORTH = 50.0  # steps to come that a mean of 1 stands for
SOLVED = 495.0  # of 500
ROUNDS, PASSES = 20, 6


def play(policy: Policy, player: int, number: int) -> Rollout:
    """Play a round: some games for `STEPS` steps, from the beginning.

    Returns:
        Samples with the targets action, its log probability, advantage and return; the scores
        'return' are of each game's first episode, which always comes to its end.
    """
    random = np.random.default_rng([player, number])
    games = Games(GAMES, seed=number * PLAYERS + player)
    kept: list[tuple[Array, ...]] = []
    for _ in range(STEPS):
        states, answers = games.states, policy(games.states)
        logs = log_softmax(answers)
        actions = (random.random(GAMES) < np.exp(logs[:, 1])).astype(np.int64)
        chosen = np.take_along_axis(logs, actions[:, None], axis=1)[:, 0]
        kept.append((states, answers.mean(axis=1), actions, chosen, *games.step(actions)))
    states, means, taken, chosen, after, fell, over = map(np.stack, zip(*kept, strict=True))
    later = policy(after.reshape(-1, 4)).mean(axis=1).reshape(STEPS, GAMES)
    surprises = 1 + WORTH * (DISCOUNT * later * ~fell - means)
    gains = advantages(surprises, over)
    targets = np.stack([taken, chosen, gains, gains + WORTH * means], axis=2)
    return Rollout(states.reshape(-1, 4), targets.reshape(-1, 4), {"return": games.returns})


def log_softmax(answers: Array) -> Array:
    """Log probabilities [n, 2] in float64."""
    shifted = answers.astype(np.float64) - answers.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def advantages(surprises: Array, over: Array) -> Array:
    """How much better than expected each action was, from rewards and values; all [steps, n]."""
    gains, later = np.zeros_like(surprises), np.zeros(surprises.shape[1])
    for step in reversed(range(len(surprises))):
        later = surprises[step] + DISCOUNT * SMOOTHING * later * ~over[step]
        gains[step] = later
    return gains


def normalised(targets: Array) -> Array:
    """A round's targets, with advantages of mean 0 and deviation 1."""
    gains = targets[:, 2]
    ready = targets.copy()
    ready[:, 2] = (gains - gains.mean()) / (gains.std() + 1e-8)
    return ready


def steered(count: int, seed: int) -> Split:
    """States [count, 4] as they come up under a simple controller that is often disturbed.

    Their targets have the form of a rollout's; the action is the controller's.
    """
    random, games = np.random.default_rng(seed), Games(8, seed=10_000 + seed)
    states, actions = [], []
    for _ in range(-(-count // 8)):
        place, speed, angle, turning = games.states.T
        action = (angle + 0.5 * turning + 0.05 * place + 0.1 * speed > 0).astype(np.int64)
        states.append(games.states)
        actions.append(action)
        games.step(np.where(random.random(8) < 0.3, random.integers(0, 2, 8), action))
    targets = np.zeros((count, 4), np.float32)
    targets[:, 0] = np.concatenate(actions)[:count]
    return Split(np.concatenate(states)[:count], targets)


def data() -> Data:
    """Rounds of 8,192 samples to learn from, and 256 states to compare files by."""
    experience = Experience(
        play,
        example=steered(256, seed=1),
        samples=PLAYERS * GAMES * STEPS,
        players=PLAYERS,
        passes=PASSES,
        scores=("return",),
        settle=normalised,
    )
    return Data(train=experience, validation=steered(256, seed=2))


def keras_model() -> Any:
    """Two dense layers; outputs [batch, 2]."""
    import keras
    from keras import layers

    small = keras.initializers.RandomNormal(stddev=0.01)  # no opinion at first
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(64, activation="tanh"),
            layers.Dense(64, activation="tanh"),
            layers.Dense(2, kernel_initializer=small),
        ]
    )


def torch_model() -> Any:
    """The same layers, with Keras's first weights."""
    from torch import nn

    model = nn.Sequential(
        nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)
    )
    for layer in model[0], model[2]:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    nn.init.normal_(model[4].weight, std=0.01)
    nn.init.zeros_(model[4].bias)
    return model


def keras_step(model: Any, inputs: Mapping[str, Any], targets: Any) -> Any:
    """PPO's loss of each sample, [batch]."""
    from keras import ops

    outputs = model(inputs["state"], training=True)
    action, before, gain, back = (targets[:, index] for index in range(4))
    logs = ops.log_softmax(outputs, axis=1)
    chosen = logs[:, 1] * action + logs[:, 0] * (1 - action)
    ratio = ops.exp(chosen - before)
    actor = -ops.minimum(ratio * gain, ops.clip(ratio, 1 - CLIP, 1 + CLIP) * gain)
    entropy = -ops.sum(ops.exp(logs) * logs, axis=1)
    critic = ops.square(ops.mean(outputs, axis=1) - back / WORTH)
    return actor + CRITIC * critic - ENTROPY * entropy


def torch_step(model: Any, inputs: Mapping[str, Any], targets: Any) -> Any:
    """The same in torch."""
    outputs = model(inputs["state"])
    action, before, gain, back = targets.unbind(1)
    logs = outputs.log_softmax(1)
    chosen = logs[:, 1] * action + logs[:, 0] * (1 - action)
    ratio = (chosen - before).exp()
    actor = -(ratio * gain).minimum(ratio.clip(1 - CLIP, 1 + CLIP) * gain)
    entropy = -(logs.exp() * logs).sum(1)
    critic = (outputs.mean(1) - back / WORTH).square()
    return actor + CRITIC * critic - ENTROPY * entropy


def keras_loss() -> Any:
    """How far a file's policy is from the simple controller's; judged by, not trained on."""
    from keras import losses

    def loss(targets: Any, outputs: Any) -> Any:
        return losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)

    return loss


def torch_loss() -> Any:
    """The same in torch."""
    from torch.nn import functional

    def loss(outputs: Any, targets: Any) -> Any:
        return functional.cross_entropy(outputs, targets[:, 0].long(), reduction="none")

    return loss


class Solved(Callback):
    """Ends the training when the policy's games last to the end."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float], model: Any) -> bool:
        """True where the round's mean return is high enough."""
        return logs["play_return"] >= SOLVED


recipe = Recipe(
    name="cartpole",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss=PerFramework(keras=keras_loss, torch=torch_loss),
    train_step=PerFramework(keras=keras_step, torch=torch_step),
    optimizer=Adam(learning_rate=3e-3),
    schedule=Linear(),
    clip_norm=0.5,
    epochs=ROUNDS * PASSES,
    global_batch=512,
    preprocessing=({"step": "standardize", "mean": 0, "std": [1, 1, 0.1, 1]},),
    labels=("left", "right"),
    decision="argmax",
    probe=Probe(input=[0.0, 0.0, 0.15, 1.0], expected=1),  # it falls to the right
    validate_every=PASSES,
    callbacks=lambda: [Solved()],
    input_name="state",
    output_name="actor",
)
