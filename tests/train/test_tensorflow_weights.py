"""Weights to start from, frozen layers and states that do not fit, in one process of TensorFlow."""

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import io, json, os, sys, zipfile
    from pathlib import Path

    os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="")
    import h5py
    import keras
    import numpy as np
    from keras import layers

    from toolkit import SGD, Data, PerFramework, Recipe, Schedule, Split
    from toolkit.errors import RecipeError
    from toolkit.train.adapter import Chunk, Place
    from toolkit.train.tensorflow import TensorFlowAdapter

    FOLDER, RESULT = Path(sys.argv[1]), {}
    X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)

    def model(outputs=2, **head):
        inner = [keras.Input((4,)), layers.Dense(5, name="deep"), layers.BatchNormalization()]
        backbone = keras.Sequential(inner, name="backbone")
        return keras.Sequential([keras.Input((4,)), backbone, layers.Dropout(0.1),
                                 layers.Dense(outputs, name="head", **head)])

    def other():
        return keras.Sequential([keras.Input((4,)), layers.EinsumDense("ab,bc->ac", (2,))])

    def adapter(weights=None, keras=model, **fields):
        split = Split(np.zeros((1, 4), np.float32), np.zeros((1, 2), np.float32))
        recipe = Recipe("job", lambda: Data(split, split), keras=keras, **fields)
        made = TensorFlowAdapter(recipe, Place(0, 1))
        made.start([""], {"input": X[:1]}, weights)
        return made

    def train(made):
        shape = made.predict({"input": X}).shape
        ones = np.ones((3, 6), np.float32)
        made.train([Chunk(0, {"input": np.stack([X] * 3)}, np.ones((3, *shape), np.float32), ones,
                          ones[:, 0] * 6, None)])

    def refused(name, function):
        try:
            function()
        except RecipeError as error:
            RESULT[name] = str(error)

    def saved(name, made):
        made.save(FOLDER / name) if name.endswith(".keras") else made.save_weights(FOLDER / name)
        return (FOLDER / name).read_bytes()

    def hdf5(fill):
        path = FOLDER / "made.h5"
        with h5py.File(path, "w") as file:
            fill(file)
        return path.read_bytes()

    # Weights to start from
    adapter()  # sets up TensorFlow
    source = model()
    source.layers[0].layers[1].moving_mean.assign([1, 2, 3, 4, 5])
    unsafe = keras.Sequential(
        [*source.layers, layers.Lambda(lambda x: open(FOLDER / "ran", "w"), output_shape=(2,))]
    )
    files = {name: saved(name, source) for name in ("model.keras", "model.weights.h5")}
    files["unsafe.keras"] = saved("unsafe.keras", unsafe)
    expected = source.predict(X, verbose=0)
    for name, content in files.items():
        made = adapter(content)
        RESULT[name] = made.notes
        np.testing.assert_allclose(made.predict({"input": X}), expected, rtol=0, atol=1e-6)
        assert made.state()["model.6.seed_generator.seed_generator_state"][1] == 0
    assert not (FOLDER / "ran").exists()
    new_head = adapter(files["model.keras"], lambda: model(3))
    RESULT["new head"] = new_head.notes
    assert (new_head.state()["model.4.backbone.batch_normalization.moving_mean"]
            == [1, 2, 3, 4, 5]).all()

    (FOLDER / "secret").write_bytes(np.full(20, 7, np.float32).tobytes())
    kernel = "layers/sequential/layers/dense/vars/"

    def link(file):
        with h5py.File(FOLDER / "target.h5", "w") as target:
            target[kernel + "0"], target[kernel + "1"] = np.ones((4, 5)), np.ones(5)
        file["layers"] = h5py.ExternalLink(str(FOLDER / "target.h5"), "layers")

    def outside(file):
        file.create_dataset(kernel + "0", (4, 5), "f4", external=[(str(FOLDER / "secret"), 0, 80)])
        file[kernel + "1"] = np.ones(5, np.float32)

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("config.json", "{}")
    bad = {"other": saved("other.keras", other()), "no file": b"weights", "link": hdf5(link),
           "outside": hdf5(outside), "no weights": archive.getvalue(), "cut zip": b"PK",
           "cut": files["model.weights.h5"][:900]}
    for name, content in bad.items():
        refused(name, lambda: adapter(content))

    # Frozen layers
    made = adapter(frozen=("back*",), optimizer=SGD(0.1, 0.9))
    before = made.state()
    train(made)
    after = made.state()
    RESULT["changed"] = [n for n, a in after.items() if (a != before[n]).any()]
    assert made.batch_dependent()[0].startswith("dropout")
    made = adapter(frozen=("d?ep",), optimizer=SGD(0.1))
    before = made.state()
    train(made)
    after = made.state()
    RESULT["changed without deep"] = [n for n, a in after.items() if (a != before[n]).any()]
    refused("misspelt", lambda: adapter(frozen=("haed",)))
    refused("all", lambda: adapter(frozen=("*",)))
    both = dict(torch=object, keras=model)
    adapter(frozen={"tf": ("head",), "torch": ("0.weight",)}, **both)
    refused("no pattern fits", lambda: adapter(frozen=("1.bias", "0.weight"), **both))

    # States that do not fit
    state = adapter().state()
    made = adapter()
    weights = {n: a for n, a in state.items() if n.startswith("model.")}
    made.restore({n: a + 1 for n, a in weights.items()})
    np.testing.assert_array_equal(made.state()["model.0.backbone.deep.kernel"],
                                  weights["model.0.backbone.deep.kernel"] + 1)
    few = dict(list(weights.items())[1:])
    refused("missing", lambda: made.restore(few))
    refused("too many", lambda: made.restore(state | {"model.99.sequential.extra": X}))
    refused("shape", lambda: adapter(keras=lambda: model(3)).restore(state))
    refused("other optimizer", lambda: adapter(optimizer=SGD(0.1, 0.9)).restore(state))
    np.testing.assert_array_equal(made.state()["model.7.sequential.head.kernel"],
                                  weights["model.7.sequential.head.kernel"] + 1)

    # An optimizer with a schedule of its own
    decay = PerFramework(
        keras=lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    )
    train(adapter(optimizer=decay))
    refused("schedules", lambda: adapter(optimizer=decay, schedule=Schedule(3)))
    print(json.dumps(RESULT))
    """
)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    asked = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("weights"))]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "unsafe.keras"])
def test_all_weights_are_taken_over_and_no_code(result, name: str) -> None:
    assert result[name] == ["started from 8 of 8 weights"]


def test_a_new_head_stays_new(result) -> None:
    assert result["new head"] == ["started from 6 of 8 weights; new: dense"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "has no layer of the model's kinds and shapes"),
        ("no file", "neither a zip archive nor HDF5"),
        ("no weights", "model.weights.h5"),
        ("cut zip", "not a '.keras' or '.weights.h5' file"),
        ("cut", "not a '.keras' or '.weights.h5' file"),
        ("link", "has no layer of the model's kinds and shapes"),
        ("outside", "refers to another file"),
    ],
)
def test_files_that_do_not_fit_are_refused(result, name: str, message: str) -> None:
    assert "field 'start_from'" in result[name]
    assert message in result[name]


def test_frozen_layers_keep_every_bit_and_have_no_slots(result) -> None:
    slots = "optimizer.{}.sgd.sequential_head_{}_momentum"
    assert result["changed"] == [
        "model.6.seed_generator.seed_generator_state",
        "model.7.sequential.head.kernel",
        "model.8.sequential.head.bias",
        "optimizer.0.sgd.iteration",
        slots.format(2, "kernel"),
        slots.format(3, "bias"),
    ]
    changed = [name.rsplit(".", 2)[1] for name in result["changed without deep"]]
    assert changed.count("batch_normalization") == 4
    assert "deep" not in changed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("misspelt", "'haed' matches no Keras layer; did you mean 'head'?"),
        ("no pattern fits", "'1.bias' matches no Keras layer"),
        ("all", "nothing to train"),
        ("schedules", "field 'schedule'"),
        ("missing", "'model.0.backbone.deep.kernel' of the recipe's"),
        ("too many", "'model.99.sequential.extra' of the saved state"),
        ("shape", "'model.7.sequential.head.kernel' has shape (5, 2)"),
        ("other optimizer", "'optimizer.2.sgd.backbone_deep_kernel_momentum' of the"),
    ],
)
def test_what_does_not_fit_is_named(result, name: str, message: str) -> None:
    assert message in result[name]
