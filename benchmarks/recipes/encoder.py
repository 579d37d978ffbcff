"""A small transformer encoder that reads scikit-learn's digits as a text of 64 grey levels.

Integer inputs, an embedding, attention, layer normalisation, GELU. Each place has words of its own,
so that the embedding tells places apart.
"""

from typing import Any

import numpy as np

from toolkit import Adam, Data, Recipe, Split

LENGTH, LEVELS, CLASSES = 64, 17, 10
WIDTH, HEADS, HIDDEN, LAYERS = 32, 4, 64, 2
VALIDATION_SHARE = 5  # one text in five


def data() -> Data:
    """1,437 texts to learn from, 360 to judge by; [n, 64], a place's words being 17 numbers."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    texts = digits.data.astype(np.int32) + LEVELS * np.arange(LENGTH, dtype=np.int32)
    held_out = np.arange(len(texts)) % VALIDATION_SHARE == 0
    return Data(
        train=Split(texts[~held_out], digits.target[~held_out]),
        validation=Split(texts[held_out], digits.target[held_out]),
    )


def keras_model() -> Any:
    """Two layers with normalisation before their parts; logits [batch, 10]."""
    import keras
    from keras import layers, ops

    tokens = keras.Input((LENGTH,), dtype="int32")
    found = layers.Embedding(LENGTH * LEVELS, WIDTH)(tokens)
    for _ in range(LAYERS):
        normal = layers.LayerNormalization(epsilon=1e-5)(found)
        found = found + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(normal, normal)
        normal = layers.LayerNormalization(epsilon=1e-5)(found)
        hidden = layers.Dense(HIDDEN, activation="gelu")(normal)
        found = found + layers.Dense(WIDTH)(hidden)
    found = layers.LayerNormalization(epsilon=1e-5)(found)
    return keras.Model(tokens, layers.Dense(CLASSES)(ops.mean(found, axis=1)))


def torch_model() -> Any:
    """The same layers."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(LENGTH * LEVELS, WIDTH)
            layer = nn.TransformerEncoderLayer(
                WIDTH, HEADS, HIDDEN, 0.0, "gelu", batch_first=True, norm_first=True
            )
            norm = nn.LayerNorm(WIDTH)
            self.layers = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
            self.head = nn.Linear(WIDTH, CLASSES)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            found = self.layers(self.embed(tokens))
            return self.head(found.mean(1))

    return Encoder()


recipe = Recipe(
    name="encoder",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=3e-3),
    epochs=5,
    global_batch=64,
    labels=tuple(str(digit) for digit in range(CLASSES)),
    input_name="tokens",
    output_name="logits",
)
