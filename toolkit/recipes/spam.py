"""Spam or ham: SpamAssassin's e-mails, words and three-word phrases, weighed and averaged.

Mails are learnt from the folders whose names end with -1 and judged by those collected later, whose
names end with -2. Newsletters that look like spam (hard-ham) have no later folder: they are learnt.
'toolkit data fetch spam' fetches the mails; your own may lie in the same folders below
TOOLKIT_DATA_DIR, one in a .txt file.
"""

from pathlib import Path
from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Probe, Recipe, Split
from toolkit.datasets import mail, mailbox, places

LABELS = ("ham", "spam")
LEARNT = ("easy-ham-1", "hard-ham-1", "spam-1")
JUDGED = ("easy-ham-2", "spam-2")
LENGTH = 512  # words of a mail that are looked at
WORDS, LEAST = 10_000, 3  # of the vocabulary, and mails that a word must occur in
READERS = 3  # networks that read with different words left out: their mean is wrong less often
WIDTH = 16  # of each
SMALLEST = 0.1  # sum of gates; a mail without words has none
LEFT_OUT = 0.5  # of the words, while training, so that no few of them decide
SPAM_WEIGHT = 30.0  # other mails are 5.5 times as many, and newsletters pull the other way


def data() -> Data:
    """3,250 mails to learn from and 2,796 to judge by: sender, subject, words and markup."""
    return Data(train=_split(_files(LEARNT)), validation=_split(_files(JUDGED)))


def keras_model() -> Any:
    """The mean of what each reader says, logits [batch, 2].

    A reader weighs words and phrases by a gate of 0 to 1, and takes their mean.
    """
    import keras
    from keras import layers, ops

    words = keras.Input((LENGTH,), dtype="int32")
    there = ops.expand_dims(ops.cast(ops.not_equal(words, 0), "float32"), 2)

    def reader() -> Any:
        embedded = layers.Embedding(WORDS, WIDTH)(words)
        embedded = layers.Dropout(LEFT_OUT, noise_shape=(None, LENGTH, 1))(embedded)
        phrases = layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(embedded)
        both = layers.Concatenate()([embedded, phrases])
        gates = layers.Dense(1, activation="sigmoid")(both) * there
        mean = ops.sum(both * gates, 1) / (ops.sum(gates, 1) + SMALLEST)
        return layers.Dense(len(LABELS))(mean)

    return keras.Model(words, layers.Average()([reader() for _ in range(READERS)]))


def torch_model() -> Any:
    """The same layers and first weights; takes ids [batch, LENGTH] like the Keras model."""
    import torch
    from torch import nn

    class Reader(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(WORDS, WIDTH)
            self.drop = nn.Dropout1d(LEFT_OUT)
            self.phrases = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
            self.gate = nn.Linear(2 * WIDTH, 1)
            self.head = nn.Linear(2 * WIDTH, len(LABELS))
            nn.init.uniform_(self.embed.weight, -0.05, 0.05)  # as Keras does, here and below
            for layer in (self.phrases, self.gate, self.head):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

        def forward(self, words: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
            embedded = self.drop(self.embed(words))
            phrases = torch.relu(self.phrases(embedded.permute(0, 2, 1))).permute(0, 2, 1)
            both = torch.cat([embedded, phrases], 2)
            gates = torch.sigmoid(self.gate(both)) * there
            return self.head((both * gates).sum(1) / (gates.sum(1) + SMALLEST))

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.readers = nn.ModuleList(Reader() for _ in range(READERS))

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            there = (words != 0).float().unsqueeze(2)
            return torch.stack([reader(words, there) for reader in self.readers]).mean(0)

    return Net()


def _files(names: tuple[str, ...]) -> list[Path]:
    folder = places.folder("spam")
    return [file for name in names for file in mailbox.files(folder / name)]


def _split(files: list[Path]) -> Split:
    targets = np.array([int(file.parent.name.startswith("spam")) for file in files])
    texts: Any = mailbox.read(files, mail.MOST)
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
        epochs=8,
        global_batch=64,
        class_weights={1: SPAM_WEIGHT},
        preprocessing=(
            {
                "step": "tokenise",
                "vocabulary": mailbox.kept_vocabulary(_files(LEARNT), mail.MOST, WORDS, LEAST),
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
