"""SavedModels and programs of torch.export, made and checked in a process of their framework.

Programs are checked as .pt2 files and in archives for TorchServe.
"""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.manifest import MEMBER, Manifest
from edge.tensor import Tensor
from toolkit.artifacts import Export, Golden
from toolkit.card import Card
from toolkit.export.convert import convert
from toolkit.export.job import ExportJob
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource
from toolkit.verify.check import Question, check
from toolkit.verify.gates import gate_for

AXES = (2, 0, 1)
X = np.random.default_rng(0).normal(size=(10, 4, 5, 3)).astype(np.float32)
CARD = Card("net", decision="argmax", labels=("a", "b", "c", "d"), input_name="image")


def keras_answers(folder):
    """Answers of SavedModels: right, right in another layout and batch, and of other weights."""
    import keras

    def made(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4, 5, 3), name="image")
        hidden = keras.layers.Conv2D(4, 3)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(4, name="y")(keras.layers.Flatten()(hidden)))
        path = Path(folder) / f"{seed}.keras"
        model.save(path)
        return ModelSource("keras", "tf", {path.name: path.read_bytes()})

    return _answers(made, "savedmodel")


def torch_answers(target="pt2"):
    """Answers of .pt2 files, or of archives for TorchServe, alike."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(24, 4)

        def forward(self, image):
            hidden = self.conv(image.permute(0, 3, 1, 2)).flatten(1)
            return {"y": self.dense(hidden)}

    def made(seed):
        torch.manual_seed(seed)
        axis = {0: torch.export.Dim.DYNAMIC}
        program = torch.export.export(
            Net().eval(), (torch.from_numpy(X[:2].copy()),), dynamic_shapes=(axis,)
        )
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        return ModelSource("pt2", "torch", {"net.pt2": buffer.getvalue()})

    return _answers(made, target)


def _with_other_manifest(content):
    """An archive for TorchServe whose handler goes by another manifest than its program has."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, text.replace(b"argmax", b"value") if name == MEMBER else text)
    return changed.getvalue()


def _answers(made, target):
    model = made(1)
    golden = Golden({"image": X}, predict(model, {"image": X}), np.zeros(10))
    question = Question({"image": X}, golden, CARD)

    def files(source, batch=None, layout=False):
        turned = [{"step": "transpose", "axes": list(AXES)}] if layout else []
        shape = [(4, 5, 3)[axis] for axis in AXES] if layout else (4, 5, 3)
        manifest = Manifest(
            "net",
            source.framework,
            target,
            "fp32",
            (Tensor("image", (batch, *shape), "float32"),),
            (Tensor(next(iter(golden.outputs)), (batch, 4), "float32"),),
            preprocessing={"image": turned},
            decision="argmax",
            labels=CARD.labels,
        )
        job = ExportJob(source, target, manifest, batch=batch)
        return convert(replace(job, permute={"image": AXES} if layout else {})).files

    def answer(content, labels=CARD.labels):
        export = Export("exports/net", model.framework, target, "fp32", None, 0, "", 0.0)
        asked = replace(question, card=replace(CARD, labels=labels))
        return check(content, export, asked, gate_for("fp32"))

    right = files(model)
    two = {"": _with_other_manifest(right[""])} if target == "torchserve" else right
    return {
        "two manifests": answer(two),
        "right": answer(right),
        "layout": answer(files(model, batch=4, layout=True)),
        "other weights": answer(files(made(2))),
        "labels": answer(right, CARD.labels[::-1]),
        "damaged": answer({"1/saved_model.pb": b"?"} if target == "savedmodel" else {"": b"?"}),
    }
