"""Spam or ham: SpamAssassin's 6,046 e-mails, words and three-word phrases, averaged.

Mails are learnt from the folders whose names end with -1 and judged by those collected later, whose
names end with -2. Newsletters that look like spam (hard-ham) are only there once, so every second
one is learnt. 'toolkit data fetch spam' fetches them; your own mails may lie in the same folders
below TOOLKIT_DATA_DIR, one in a .txt file.
"""

from pathlib import Path
from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Probe, Recipe, Split
from toolkit.datasets import mailbox, places

LABELS = ("ham", "spam")
LATER = ("easy-ham-2", "spam-2")
CHARACTERS = 20_000  # of a mail that are kept
LENGTH = 512  # words of a mail that are looked at
WORDS, LEAST = 10_000, 3  # of the vocabulary, and mails that a word must occur in
WIDTH = 32
SPAM_WEIGHT = 5.0  # there are five times as many wanted mails to learn from


def learnt() -> list[Path]:
    """The files to learn from."""
    folder = places.folder("spam")
    hard = mailbox.files(folder / "hard-ham-1")[::2]
    return mailbox.files(folder / "easy-ham-1") + hard + mailbox.files(folder / "spam-1")


def judged() -> list[Path]:
    """The files to judge by: later mails, and the other newsletters."""
    folder = places.folder("spam")
    later = [file for name in LATER for file in mailbox.files(folder / name)]
    return later + mailbox.files(folder / "hard-ham-1")[1::2]


def data() -> Data:
    """3,125 mails to learn from and 2,921 to judge by: subject and words, without markup."""
    return Data(train=_split(learnt()), validation=_split(judged()))


def keras_model() -> Any:
    """Embedded words and a convolution over three of them, both averaged; logits [batch, 2]."""
    import keras
    from keras import layers

    words = keras.Input((LENGTH,), dtype="int32")
    embedded = layers.Embedding(WORDS, WIDTH)(words)
    phrases = layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(embedded)
    both = layers.Concatenate()([embedded, phrases])
    logits = layers.Dense(len(LABELS))(layers.GlobalAveragePooling1D()(both))
    return keras.Model(words, logits)


def torch_model() -> Any:
    """The same layers; takes ids [batch, LENGTH] like the Keras model."""
    import torch
    from torch import nn

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(WORDS, WIDTH)
            nn.init.uniform_(self.embed.weight, -0.05, 0.05)  # as Keras does
            self.phrases = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
            self.head = nn.Linear(2 * WIDTH, len(LABELS))

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            embedded = self.embed(words).permute(0, 2, 1)
            phrases = torch.relu(self.phrases(embedded))
            return self.head(torch.cat([embedded, phrases], 1).mean(2))

    return Net()


def _split(files: list[Path]) -> Split:
    targets = np.array([int(file.parent.name.startswith("spam")) for file in files])
    texts: Any = mailbox.read(files, CHARACTERS)
    return Split(texts, targets)


def __getattr__(name: str) -> Any:
    """`recipe` is made when it is asked for, since its vocabulary needs the mails."""
    if name != "recipe":
        raise AttributeError(name)
    return Recipe(
        name="spam",
        data=data,
        keras=keras_model,
        torch=torch_model,
        loss="cross_entropy",
        metrics=("accuracy",),
        optimizer=Adam(learning_rate=5e-3),
        schedule=Cosine(),
        epochs=4,
        global_batch=64,
        class_weights={1: SPAM_WEIGHT},
        preprocessing=(
            {
                "step": "tokenise",
                "vocabulary": mailbox.kept_vocabulary(learnt(), CHARACTERS, WORDS, LEAST),
                "length": LENGTH,
                "unknown": 1,
                "padding": 0,
                "lower": True,
            },
        ),
        postprocessing=({"step": "softmax"},),
        labels=LABELS,
        probe=Probe(
            input="GET RICH NOW!!!\n\nClick here to order your FREE report. Earn money from home, "
            "100% guaranteed. To be removed from our mailing list, click here.",
            expected=1,
        ),
        input_name="text",
        output_name="logits",
    )
