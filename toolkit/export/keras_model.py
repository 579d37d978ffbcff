"""The TensorFlow function of a job: the file's inputs in, the manifest's outputs out."""

from dataclasses import dataclass
from typing import Any

from toolkit.export.job import ExportJob
from toolkit.models.keras import Loaded, load


@dataclass(frozen=True)
class Function:
    """What converters of TensorFlow take.

    Attributes:
        owner: of the variables.
        serve: a tf.function from the manifest's inputs, in order, to its outputs by name.
        specs: of the inputs, named.
    """

    owner: Any
    serve: Any
    specs: tuple[Any, ...]

    def frozen(self) -> "Function":
        """The same with constants for variables: TFLite would keep these without their values."""
        import tensorflow as tf
        from tensorflow.python.framework import convert_to_constants

        traced = self.serve.get_concrete_function(*self.specs)
        names = sorted(traced.structured_outputs)  # the order in which dictionaries are flattened
        constant = convert_to_constants.convert_variables_to_constants_v2(traced)

        def serve(*tensors: Any) -> dict[str, Any]:
            return dict(zip(names, constant(*tensors), strict=True))

        return Function(tf.Module(), tf.function(serve, autograph=False), self.specs)

    def save(self, folder: str) -> None:
        """Write a SavedModel whose signature 'serving_default' has the manifest's names."""
        import tensorflow as tf

        module = tf.Module()
        module.owner = self.owner
        module.serve = self.serve
        signature = self.serve.get_concrete_function(*self.specs)
        tf.saved_model.save(module, folder, signatures={"serving_default": signature})


def load_model(job: ExportJob) -> Loaded:
    """The job's model, its weights created."""
    return load(job.model, job.model_example(1))


def function_of(job: ExportJob, loaded: Loaded, batch: int | None) -> Function:
    """Wrap a model for a batch size, or for any."""
    import tensorflow as tf

    names = [tensor.name for tensor in job.manifest.inputs]
    wanted = [tensor.name for tensor in job.manifest.outputs]

    def serve(*tensors: Any) -> dict[str, Any]:
        inputs = dict(zip(names, tensors, strict=True))
        for name in job.permute:
            inputs[name] = tf.transpose(inputs[name], job.restored(name))
        outputs = job.checked(loaded.call(inputs))
        return {name: tf.identity(outputs[name], name=name) for name in wanted}

    specs = tuple(
        tf.TensorSpec([batch, *tensor.shape[1:]], tensor.dtype, name=tensor.name)
        for tensor in job.manifest.inputs
    )
    return Function(loaded.trackable, tf.function(serve, autograph=False), specs)
