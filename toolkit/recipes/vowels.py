"""Who speaks: nine men's Japanese vowels, a small LSTM that reaches phones and microcontrollers.

Each utterance of 'ae' is 7 to 29 steps of 12 LPC cepstrum coefficients (Kudo, Toyama and Shimbo,
1999). 'toolkit data fetch vowels' fetches them. The device takes an utterance as long as it is;
filling it up to 29 steps and scaling it are steps that travel with the model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Probe, Recipe, Split
from toolkit.datasets import places, series
from toolkit.recipe import Array

SPEAKERS = tuple(f"speaker {number}" for number in range(1, 10))
STEPS, COEFFICIENTS = 29, 12
UNITS = 32
# Deviations of what is learnt, rounded.
SCALES = (0.5, 0.4, 0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.12, 0.1, 0.13)

# The shortest of the utterances that are not learnt, by the third speaker.
UTTERANCE = (
    (0.51, -0.05, 0.16, -0.79, 0.06, -0.52, 0.01, 0.26, -0.28, -0.12, -0.06, 0.11),
    (0.39, 0.02, 0.16, -0.70, 0.12, -0.50, -0.02, 0.24, -0.30, -0.16, -0.04, 0.16),
    (0.47, -0.15, -0.02, -0.50, 0.27, -0.51, -0.02, 0.08, -0.40, -0.18, 0.06, 0.26),
    (0.66, -0.27, -0.15, -0.31, 0.24, -0.46, 0.00, -0.06, -0.37, -0.25, 0.08, 0.31),
    (0.55, -0.46, 0.08, -0.21, 0.33, -0.38, -0.07, -0.14, -0.39, -0.13, 0.08, 0.24),
    (0.19, -0.54, 0.22, -0.16, 0.54, -0.38, -0.09, -0.13, -0.45, -0.07, 0.02, 0.07),
    (0.20, -0.50, 0.25, -0.05, 0.56, -0.38, -0.09, -0.17, -0.43, -0.04, -0.01, 0.00),
)


def data() -> Data:
    """270 utterances to learn from and 370 to judge by, as the authors split them."""
    return Data(train=_split("TRAIN"), validation=_split("TEST"))


def filled(utterance: Any) -> Array:
    """An utterance [steps, 12] as [29, 12], zeros before it: what the step `pad` does."""
    values = np.asarray(utterance, np.float32)
    return np.pad(values, ((STEPS - len(values), 0), (0, 0)))


def keras_model() -> Any:
    """An LSTM, of which the last state is classified; logits [batch, 9]."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((STEPS, COEFFICIENTS)),
            layers.LSTM(UNITS),
            layers.Dense(len(SPEAKERS)),
        ]
    )


def torch_model() -> Any:
    """The same layers, with Keras's first weights."""
    import torch
    from torch import nn

    class Speaker(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(COEFFICIENTS, UNITS, batch_first=True)
            self.head = nn.Linear(UNITS, len(SPEAKERS))
            nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
            nn.init.orthogonal_(self.lstm.weight_hh_l0)
            nn.init.zeros_(self.lstm.bias_ih_l0)
            nn.init.zeros_(self.lstm.bias_hh_l0)
            nn.init.ones_(self.lstm.bias_ih_l0.data[UNITS : 2 * UNITS])  # forget little at first
            nn.init.xavier_uniform_(self.head.weight)
            nn.init.zeros_(self.head.bias)

        def forward(self, utterances: torch.Tensor) -> torch.Tensor:
            # The last state itself: all outputs would meet in one operator, which TFLM refuses.
            _, (state, _) = self.lstm(utterances)
            return self.head(state[-1])

    return Speaker()


def _split(part: str) -> Split:
    cases, speakers = series.read(places.folder("vowels") / f"JapaneseVowels_{part}.ts")
    return Split(np.stack([filled(case.T) for case in cases]), _numbers(speakers))


def _numbers(speakers: Sequence[str]) -> Array:
    return np.array([int(speaker) - 1 for speaker in speakers])


recipe = Recipe(
    name="vowels",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=1e-2),
    schedule=Cosine(),
    clip_norm=1.0,
    epochs=40,
    global_batch=30,
    preprocessing=(
        {"step": "pad", "size": [STEPS], "side": "begin"},
        {"step": "standardize", "mean": 0, "std": list(SCALES)},
    ),
    postprocessing=({"step": "softmax"},),
    labels=SPEAKERS,
    probe=Probe(input=filled(UTTERANCE), expected=2),
    input_name="utterance",
    output_name="logits",
)
