"""Several devices in one worker: tf.distribute's MirroredStrategy, here over two virtual CPUs."""

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import json, sys
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from toolkit.data.load import load
    from toolkit.source import find
    from toolkit.train import tensorflow as adapter_module
    from toolkit.train.adapter import Place
    from toolkit.train.loop import fit

    devices = int(sys.argv[1])
    if devices > 1:  # on GPUs the adapter chooses it by itself
        adapter_module._strategy = lambda world: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    recipe = find("digits", {"epochs": 1}).load()
    dataset = load(recipe)
    adapter = adapter_module.TensorFlowAdapter(recipe, Place(0, 1))
    example = {name: array[:1] for name, array in dataset.train.inputs.items()}
    adapter.start(["127.0.0.1:0"], example)
    assert adapter.replicas == devices
    *_, trained = fit(adapter, dataset)
    print(json.dumps(trained.metrics))
    """
)


def metrics(devices: int) -> dict[str, float]:
    asked = [sys.executable, "-c", SCRIPT, str(devices)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_two_devices_in_one_worker_learn_what_one_learns() -> None:
    one, two = metrics(1), metrics(2)
    assert two == pytest.approx(one, abs=1e-4)
