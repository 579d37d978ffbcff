"""Make steps_tf.npz and steps_torch.npz: python tests/edge/data/make_steps.py (needs both).

They hold what TensorFlow, Keras and torch make of the arrays that are stored beside their answers,
so that the tests of steps need neither. Each runs in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

SIZES = {(5, 7): [(3, 4), (10, 21), (5, 7), (1, 1), (8, 3)], (1, 1): [(2, 3)], (32, 20): [(11, 9)]}
TEXTS = ["The cat sat", "", "a  CAT\tis\na cat is a cat", "dog", "Äpfel und Birnen, cat!"]
VOCABULARY = ["cat", "a", "is", "the", "äpfel"]


def inputs():
    random = np.random.default_rng(7)
    images = {f"image.{h}x{w}": random.integers(0, 256, (2, h, w, 3), np.uint8) for h, w in SIZES}
    return {
        **images,
        "signal": random.normal(size=(2, 1000)).astype(np.float32),
        "logits": (random.normal(size=(6, 9)) * 8).astype(np.float32),
    }


def resized(given, resize):
    """By key resize.HEIGHTxWIDTH.HEIGHTxWIDTH.METHOD."""
    found = {}
    for (h, w), wanted in SIZES.items():
        for size in wanted:
            for method in ("bilinear", "nearest"):
                key = f"resize.{h}x{w}.{size[0]}x{size[1]}.{method}"
                found[key] = resize(given[f"image.{h}x{w}"], size, method)
    return found


def tensorflow():
    import keras
    import tensorflow as tf

    given = inputs()
    found = resized(given, lambda *options: tf.image.resize(*options).numpy())
    for size in ((3, 4), (9, 10)):
        key = f"centre.{size[0]}x{size[1]}"
        found[key] = tf.image.resize_with_crop_or_pad(given["image.5x7"], *size).numpy()
    for name in ("hann", "hamming", "none"):
        function = getattr(tf.signal, f"{name}_window", None)
        found[f"stft.{name}"] = np.abs(tf.signal.stft(given["signal"], 400, 160, 512, function))
    found["framed"] = tf.signal.frame(given["signal"], 400, 160).numpy()
    for split in ("whitespace", "character"):
        layer = keras.layers.TextVectorization(
            standardize=None, split=split, vocabulary=VOCABULARY, output_sequence_length=6
        )
        found[f"ids.{split}"] = layer(tf.constant(TEXTS)).numpy()
        found["vocabulary"] = np.array(layer.get_vocabulary())
    found["softmax"] = tf.nn.softmax(given["logits"]).numpy()
    found["sigmoid"] = tf.nn.sigmoid(given["logits"]).numpy()
    found["one_hot"] = tf.one_hot([[3, 0], [9, 1]], 10).numpy()
    return {**given, "texts": np.array(TEXTS), **found}


def torch():
    import torch

    given = inputs()

    def resize(image, size, method):
        method = {"nearest": "nearest-exact"}.get(method, method)
        planes = torch.from_numpy(image).float().movedim(-1, 1)
        return torch.nn.functional.interpolate(planes, size, mode=method).movedim(1, -1).numpy()

    found = resized(given, resize)
    for name in ("hann", "hamming"):
        window = getattr(torch, f"{name}_window")(512)
        for centre in (False, True):
            spectrum = torch.stft(
                torch.from_numpy(given["signal"]), 512, 160, window=window, center=centre,
                pad_mode="constant", return_complex=True,
            )  # fmt: skip
            found[f"stft.{name}.{centre}"] = spectrum.abs().mT.numpy()
    logits = torch.from_numpy(given["logits"])
    values, places = torch.topk(logits, 4)
    found |= {"topk.values": values.numpy(), "topk.places": places.numpy()}
    found["argmax"] = logits.argmax(-1).numpy()
    found["softmax"] = logits.softmax(-1).numpy()
    found["sigmoid"] = logits.sigmoid().numpy()
    whole = torch.quantize_per_tensor(logits, 0.37, -5, torch.qint8)
    found |= {"integers": whole.int_repr().numpy(), "dequantised": whole.dequantize().numpy()}
    return {**given, **found}


if __name__ == "__main__":
    makers = {"tf": tensorflow, "torch": torch}
    for name in sys.argv[1:]:
        path = Path(__file__).parent / f"steps_{name}.npz"
        np.savez_compressed(path, **makers[name]())
    if len(sys.argv) == 1:
        for name in makers:
            subprocess.run([sys.executable, __file__, name], check=True)
