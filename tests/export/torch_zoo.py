"""torch models that converters stumble over, converted in one process."""

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from tests.export.zoo import Case
from toolkit.models.source import read

RANDOM = np.random.default_rng(0)
COUNT = 4
ALL = ("tflite", "onnx", "pt2")


def floats(*shape):
    return RANDOM.normal(size=(COUNT, *shape)).astype(np.float32)


def source(builder, folder):
    """The model as 'file.py:function' with weights that the function does not make."""
    torch.manual_seed(7)
    module = globals()[builder]().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor += torch.rand_like(tensor) * 0.4 + 0.1
    weights = folder / "weights.safetensors"
    save_file(module.state_dict(), weights)
    return read(f"{__file__}:{builder}", weights)


class TwoOutputs(nn.Module):
    def forward(self, b, a):
        return {"total": a + b, "apart": b - a}


def two_outputs(folder):
    model = read(f"{__file__}:TwoOutputs")
    return Case(model, {"a": floats(3), "b": floats(3)}, ALL)


class Tuple(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(12))

    def forward(self, x):
        return tuple(layer(x) for layer in self.layers)


def tuples(folder):
    return Case(source("Tuple", folder), {"x": floats(3)})


class Dictionary(nn.Module):
    def forward(self, inputs):
        return inputs["b"] - 2 * inputs["a"]


def dictionary(folder):
    model = read(f"{__file__}:Dictionary")
    return Case(model, {"b": floats(3), "a": floats(3)}, ALL)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(20, 4), nn.Linear(4, 3)

    def forward(self, ids):
        return self.out(self.table(ids).mean(1))


def embedding(folder):
    return Case(source("Words", folder), {"ids": RANDOM.integers(0, 20, (COUNT, 6))}, ALL)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.inner = nn.Embedding(20, 16), nn.Linear(16, 16)

    def forward(self, ids):
        return self.inner(self.table(ids).mean(1)) @ self.table.weight.T


def tied(folder):
    return Case(source("Tied", folder), {"ids": RANDOM.integers(0, 20, (COUNT, 6))}, ("tflite",))


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(),
            nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Flatten(), nn.Linear(144, 3),
        )  # fmt: skip

    def forward(self, image):
        return self.body(image.float() / 255)


def image(folder):
    data = RANDOM.integers(0, 256, (COUNT, 3, 8, 8)).astype(np.uint8)
    return Case(source("Image", folder), {"image": data}, ALL)


def channels_last(folder):
    data = RANDOM.integers(0, 256, (COUNT, 3, 8, 8)).astype(np.uint8)
    permute = {"image": (1, 2, 0)}
    return Case(source("Image", folder), {"image": data}, ALL, {"permute": permute, "batch": 2})


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM, **options):
        super().__init__()
        self.cells, self.out = kind(3, 4, batch_first=True, **options), nn.LazyLinear(2)
        self(torch.zeros(1, 5, 3))

    def forward(self, x):
        return self.out(self.cells(x)[0][:, -1])


def bidirectional():
    return Recurrent(nn.GRU, bidirectional=True)


def lstm(folder):
    return Case(source("Recurrent", folder), {"x": floats(5, 3)}, ALL)


def gru(folder):
    return Case(source("bidirectional", folder), {"x": floats(5, 3)}, ALL)


def encoder_layer():
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


def attention(folder):
    return Case(source("SelfAttention", folder), {"x": floats(5, 8)}, ALL)


def encoder(folder):
    return Case(source("encoder_layer", folder), {"src": floats(5, 8)}, ALL)


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, x, mask):
        return (self.body(x.transpose(1, 2)) * mask[:, None]).amax(-1)


def sequence(folder):
    inputs = {"x": floats(9, 3), "mask": np.ones((COUNT, 9), np.float32)}
    model = source("Sequence", folder)
    return Case(model, inputs, ("onnx", "pt2"), free={"x": [1], "mask": [1]})


class OneBatch(nn.Module):
    def forward(self, x):
        return x.reshape(2, 3) * 2


def one_batch(folder):
    model = read(f"{__file__}:OneBatch")
    return Case(model, {"x": RANDOM.normal(size=(2, 3)).astype(np.float32)}, ("onnx", "pt2"))


class NoOperator(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


def no_operator(folder):
    return Case(read(f"{__file__}:NoOperator"), {"x": floats(3)})


def opset(folder):
    return Case(source("Tuple", folder), {"x": floats(3)}, ("onnx",), {"opset": 20})


def old_opset(folder):
    return Case(source("Tuple", folder), {"x": floats(3)}, ("onnx",), {"opset": 13})


def program(folder):
    example = (torch.ones(2, 3), torch.ones(2, 3))
    shapes = ({0: torch.export.Dim.DYNAMIC},) * 2
    path = folder / "model.pt2"
    torch.export.save(torch.export.export(TwoOutputs(), example, dynamic_shapes=shapes), path)
    return Case(read(str(path)), {"a": floats(3), "b": floats(3)}, ALL)


def static_program(folder):
    path = folder / "model.pt2"
    torch.export.save(torch.export.export(TwoOutputs(), (torch.ones(2, 3), torch.ones(2, 3))), path)
    return Case(read(str(path)), {"a": floats(3), "b": floats(3)}, ALL)


def other_batch(folder):
    case = static_program(folder)
    return Case(case.model, case.inputs, ("onnx",), {"batch": 3})


def new_opset(folder):
    return Case(
        source("Words", folder),
        {"ids": RANDOM.integers(0, 20, (COUNT, 6))},
        ("onnx",),
        {"opset": 99},
    )


CASES = {
    case.__name__: case
    for case in (
        two_outputs, tuples, dictionary, embedding, tied, image, channels_last, lstm, gru,
        attention, encoder, sequence, one_batch, no_operator, opset, old_opset, program,
        static_program, other_batch, new_opset,
    )
}  # fmt: skip
