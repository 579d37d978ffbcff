"""Augmented training: the same samples on any number of workers, and never anywhere else."""

import numpy as np
import pytest

from toolkit.data.load import load
from toolkit.train.settings import Settings


def jitter(array, random):
    return array + random.normal(*array.shape[1:])


def trained_on(world):
    """Inputs of each step, [samples, features], in the order of the plan."""
    steps = []
    for chunks in zip(*(adapter.chunks for adapter in world.adapters), strict=True):
        for index in range(len(chunks[0][0])):
            shards = []
            for (chunk,) in chunks:
                (inputs,) = chunk.inputs.values()
                shards.append(inputs[index][chunk.weights[index] > 0])
            steps.append(np.concatenate(shards))
    return steps


@pytest.fixture
def augmented(job):
    return job(augment=(jitter,), global_batch=5)  # the last batch of an epoch has 3 samples


def test_any_number_of_workers_trains_the_same_pixels(train, augmented):
    alone = train(augmented)
    for world in (2, 4):
        shared = train(augmented, world=world)
        for one, other in zip(trained_on(alone), trained_on(shared), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(alone.weights, shared.weights, rtol=1e-12)


def test_every_epoch_brings_other_ones(train, augmented):
    every = np.concatenate(trained_on(train(augmented)))
    assert len(np.unique(every, axis=0)) == len(every) == 4 * 23


def test_what_the_model_predicts_is_never_augmented(train, augmented, adapter_class):
    """Validation and golden vectors; two training samples show shapes."""

    class Watched(adapter_class):
        def predict(self, inputs):
            self.calls.append(("predict", *inputs.values()))
            return super().predict(inputs)

    world, dataset = train(augmented, adapter=Watched), load(augmented)
    asked = np.concatenate([call[1] for call in world.adapters[0].calls if call[0] == "predict"])
    splits = (dataset.train, dataset.validation)
    known = np.concatenate([split.take(slice(None)).inputs["input"] for split in splits])
    assert (asked[:, None] == known).all(2).any(1).all()
    assert len(asked) >= 5 * len(dataset.validation)


@pytest.mark.parametrize("world", [1, 2])
def test_a_restart_in_mid_epoch_goes_on_with_the_same_ones(train, augmented, world):
    whole = train(augmented)
    begun = train(augmented, settings=Settings(checkpoint_every="never", limit=7))
    assert begun.checkpoints[-1].step == 7
    rest = train(augmented, world=world, state=begun.checkpoints[-1])
    for one, other in zip(trained_on(whole)[7:], trained_on(rest), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(whole.weights, rest.weights, rtol=1e-12)
