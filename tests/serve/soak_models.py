"""Models whose every answer is known, and folders of versions of them that are swapped."""

import shutil
from pathlib import Path

import numpy as np

from tests.serve.running import bundle

WIDTH, INNER = 8, 2048
MIXING = np.random.default_rng(5).integers(-3, 4, (WIDTH, WIDTH))
"""What the heavy model multiplies by; small whole numbers, so that float32 is exact."""


def heavy(path, factor):
    """x float32 [n, 8] -> y = x @ MIXING * factor, by way of a product that takes milliseconds."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    order = np.random.default_rng(6).permutation(INNER)
    spread, middle, gather = np.zeros((3, INNER, INNER), np.float32)
    spread[:WIDTH, :WIDTH] = MIXING
    middle[np.arange(INNER), order] = factor
    gather[order[:WIDTH], np.arange(WIDTH)] = 1
    constants = {"a": spread[:WIDTH], "b": middle, "c": gather[:, :WIDTH]}
    steps = (["x", "a"], "p"), (["p", "b"], "q"), (["q", "c"], "y")
    graph = helper.make_graph(
        [helper.make_node("MatMul", source, [target]) for source, target in steps],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    aside = Path(path).with_suffix(".part")
    aside.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, aside)
    aside.rename(path)


class Versions:
    """A watched folder whose version N answers N times the same.

    Attributes:
        name: of the model.
        folder: where they lie.
        good: numbers of all versions that may ever answer.
        least: number that has taken over for sure; requests that begin now get no older one.
    """

    def __init__(self, folder, name, lag=0):
        self.name, self.folder, self._lag = name, folder / name, lag
        self.good, self.least, self._number = [], 1, 0
        self.publish()

    def publish(self):
        """Write the next version; its number."""
        self._number += 1
        self.good.append(self._number)
        self._write(self._number)
        return self._number

    def spoil(self, kind):
        """Write a bad version; its number.

        Args:
            kind: 'wrong' (answers otherwise than its golden vectors), 'cut' or 'empty'.
        """
        self._number += 1
        place = self.folder / str(self._number)
        if kind == "wrong" and self.name == "shades":
            bundle(place / "a.edge", factor=self._number, wrong=1.0)
            return self._number
        place.mkdir()
        content = next((self.folder / str(self.good[-1])).iterdir())
        kept = content.read_bytes()[: 0 if kind == "empty" else 700]
        (place / content.name).write_bytes(kept)
        return self._number

    def take_over(self, number):
        """It answers by now: forget what is older."""
        place = self.good.index(number)
        self.least = self.good[max(0, place - self._lag)]
        for old in self.folder.iterdir():
            if old.name.isdecimal() and int(old.name) < self.least:
                shutil.rmtree(old)

    def remove(self, number):
        shutil.rmtree(self.folder / str(number))

    def allowed(self, least):
        """Versions that may answer a request that began when `least` was the least."""
        return [number for number in self.good if number >= least]

    def _write(self, number):
        place = self.folder / str(number)
        if self.name == "shades":
            bundle(place / "a.edge", factor=float(number))
        else:
            place.mkdir(parents=True)
            heavy(place / "heavy.onnx", number)
