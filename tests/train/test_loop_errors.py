"""What the training loop refuses, and how it says so."""

import numpy as np
import pytest

from toolkit import Data, Split
from toolkit.errors import RecipeError, ToolkitError

ONES = np.ones((6, 1), np.float32)
FOUR = {"loss": "cross_entropy", "labels": ("a", "b", "c", "d")}
CLASSES = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def answering(adapter_class):
    """An adapter class whose outputs have a shape of our choice."""

    def answering(*shape):
        class Answering(adapter_class):
            def predict(self, inputs):
                return np.zeros((len(next(iter(inputs.values()))), *shape))

            def train(self, chunks):
                return np.ones(len(chunks[0]))

            def losses(self, outputs, targets):
                return np.ones(len(outputs))

        return Answering

    return answering


@pytest.mark.parametrize(
    ("shape", "fields", "targets", "got", "wanted"),
    [
        ((), {}, ONES, "(batch)", "(batch, 1)"),
        ((2,), {}, ONES, "(batch, 2)", "(batch, 1)"),
        ((1, 1), {}, ONES, "(batch, 1, 1)", "(batch, 1)"),
        ((1,), {"loss": "mae"}, np.ones((6, 3)), "(batch, 1)", "(batch, 3)"),
        ((1,), {"loss": "binary_cross_entropy"}, np.ones((6, 2)), "(batch, 1)", "(batch, 2)"),
        ((2,), {"loss": "cross_entropy"}, CLASSES, "(batch, 2)", "(batch, 3)"),
        ((), {"loss": "cross_entropy"}, CLASSES, "(batch)", "(batch, 3)"),
        ((4, 3), {"loss": "cross_entropy"}, CLASSES, "(batch, 4, 3)", "(batch, 3)"),
        ((2,), FOUR, CLASSES, "(batch, 2)", "(batch, 4)"),
        # Classes without a sample in training: three are seen, four have labels, or vice versa.
        ((3,), FOUR, CLASSES, "(batch, 3)", "(batch, 4)"),
        ((5,), FOUR, CLASSES, "(batch, 5)", "(batch, 4)"),
    ],
)
def test_an_output_of_the_wrong_shape(train, job, answering, shape, fields, targets, got, wanted):
    data = Data(Split(ONES, targets), Split(ONES, targets))
    with pytest.raises(RecipeError) as caught:
        train(job(data=lambda: data, metrics=(), **fields), adapter=answering(*shape))
    message = str(caught.value)
    assert "recipe 'job'" in message
    assert f"output has shape {got}" in message
    assert f"needs {wanted}" in message


def test_a_class_that_only_validation_has(train, job, answering):
    data = Data(Split(ONES, CLASSES % 2), Split(ONES, CLASSES))
    recipe = job(data=lambda: data, metrics=(), loss="cross_entropy")
    with pytest.raises(RecipeError, match=r"\(batch, 2\).*\(batch, 3\)"):
        train(recipe, adapter=answering(2))


@pytest.mark.parametrize(
    ("loss", "metric", "targets", "shape"),
    [
        ("cross_entropy", "mse", CLASSES, (3,)),
        ("cross_entropy", "mae", CLASSES, (3,)),
        ("binary_cross_entropy", "accuracy", np.ones((6, 3)), (3,)),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_before_training(
    train, job, answering, loss, metric, targets, shape
):
    data = Data(Split(ONES, targets), Split(ONES, targets))
    with pytest.raises(RecipeError, match=f"field 'metrics'.*{metric}|{metric}.*'metrics'"):
        train(job(data=lambda: data, loss=loss, metrics=(metric,)), adapter=answering(*shape))


def test_postprocessing_that_does_not_fit_is_refused_before_training(train, job, answering):
    data = Data(Split(ONES, CLASSES), Split(ONES, CLASSES))
    fields = {"data": lambda: data, "loss": "cross_entropy", "metrics": ()}
    steps = ({"step": "softmax"}, {"step": "top_k", "k": 4})
    with pytest.raises(
        RecipeError, match=r"'postprocessing': does not take outputs of shape \(batch, 3\): step 1"
    ):
        train(job(**fields, postprocessing=steps), adapter=answering(3))
    train(job(**fields, postprocessing=steps[:1]), adapter=answering(3))


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("batch", "step", "epoch"),
    [(5, 0, 1), (5, 4, 1), (5, 5, 2), (5, 19, 4), (23, 0, 1), (23, 2, 3)],
)
@pytest.mark.parametrize("every", [1, 4])
def test_a_loss_that_is_no_number_names_its_epoch(
    train, job, adapter_class, number, batch, step, epoch, every
):
    class Diverging(adapter_class):
        done = 0

        def train(self, chunks):
            losses = super().train(chunks)
            if self.done <= step < self.done + len(losses):
                losses[step - self.done] = number
            self.done += len(losses)
            return losses

    with pytest.raises(ToolkitError, match=f"NaN or infinite in epoch {epoch};") as caught:
        train(job(validate_every=every, global_batch=batch), adapter=Diverging)
    assert "learning rate" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_training_that_really_diverges(train, job):
    x = np.float32([[1e4], [2e4], [3e4]])
    data = Data(Split(x, x), Split(x, x))
    with pytest.raises(ToolkitError, match="NaN or infinite"):
        train(job(data=lambda: data, epochs=200), world=2)


@pytest.mark.parametrize("metrics", [(), ("mae",)])
def test_a_model_that_diverges_with_the_very_last_step(train, job, adapter_class, metrics):
    """Its training losses are all finite; only validation can tell."""

    class Diverging(adapter_class):
        def train(self, chunks):
            losses = super().train(chunks)
            self.weights = self.weights * np.nan
            return losses

    with pytest.raises(ToolkitError, match="NaN or infinite"):
        train(job(epochs=1, global_batch=100, metrics=metrics), adapter=Diverging)
