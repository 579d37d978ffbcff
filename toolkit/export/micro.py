"""The target `micro`: C++ for TensorFlow Lite Micro, with proof that runs on the device.

Of a .tflite file are made NAME.h (what it takes, answers and needs), NAME_data.cc (the model and a
test vector as constants), NAME.cc (operators, memory, prediction, self-test), main.cc (an example)
and README.md. Which file is made so, and where the files go, is left to the stage.
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from toolkit.export.micro_arena import least_arena, micro_version
from toolkit.export.micro_compare import run_micro
from toolkit.export.micro_glue import example, glue, readme
from toolkit.export.micro_header import MicroProgram, data, header
from toolkit.export.micro_model import read_model
from toolkit.export.micro_ops import resolver_methods
from toolkit.recipe import Array


def micro(
    content: bytes, name: str, golden_inputs: Mapping[str, Array] | None = None
) -> dict[str, bytes]:
    """The files of a program for a microcontroller, by name; the same arguments give the same.

    Call it in a child process: a bad file can end the interpreter, and with it the process.

    Args:
        content: a .tflite file, quantised or not.
        name: of the model; the namespace and the files' names are made of it.
        golden_inputs: by name, each [n, ...] after preprocessing: float32 where integers of the
            file stand for it, or those integers. The first becomes the test vector; None: zeros.

    Raises:
        ConversionError: names the operators that TensorFlow Lite Micro lacks, or says why it cannot
            prepare the model.
        DataError: the golden inputs do not fit.
    """
    model = read_model(content)
    version = micro_version()
    methods = resolver_methods(model.operators, version)
    arena = least_arena(model.content)
    if golden_inputs is None:
        test_inputs = [np.zeros(end.shape, end.dtype) for end in model.inputs]
    else:
        test_inputs = model.raw(golden_inputs)[0]
    program = MicroProgram(
        name=name,
        version=version,
        source=hashlib.sha256(content).hexdigest(),
        model=model,
        methods=methods,
        arena=arena,
        test_inputs=test_inputs,
        test_outputs=run_micro(model, [test_inputs], arena)[0],
        golden=golden_inputs is not None,
    )
    texts = {
        f"{program.space}.h": header(program),
        f"{program.space}_data.cc": data(program),
        f"{program.space}.cc": glue(program),
        "main.cc": example(program),
        "README.md": readme(program),
    }
    return {file: text.encode() for file, text in texts.items()}
