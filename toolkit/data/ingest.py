"""Streams become records: read once, in a Ray task.

The task may import TensorFlow or torch; the processes that it and Ray Data use are kept apart by
a runtime environment of their own, so that no training worker inherits one of them. What a
stream may be is `toolkit.data.sources`'s, where records lie `toolkit.data.cache`'s, and other
machines get theirs from `toolkit.data.copies`.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from toolkit.data import cache, checks, identity, sources
from toolkit.data.copies import Place
from toolkit.data.writer import RecordWriter, storage_error
from toolkit.errors import DataError, ToolkitError, WorkerError
from toolkit.recipe import Array, Recipe
from toolkit.source import RecipeSource
from toolkit.specs import Stream

_BLOCK = 16 * 2**20  # of Ray Data: the memory of a reading task is a few of them
_OBJECT_STORE_SHARE = 0.25
# Ray shares processes among tasks and actors of equal environments: this one is of no others
_TEXTS = "a Stream holds numbers only: tokenise texts in its 'read' function, or give a Split"
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "TOOLKIT_READS": "1"}


def materialise(source: RecipeSource, split: str) -> Place:
    """Read a recipe's stream into records on this machine; needs a connection to Ray.

    Args:
        source: the recipe.
        split: 'train' or 'validation', whose `Stream` is read.

    Raises:
        DataError: what was read cannot be trained on; names split, column and sample.
        StorageError: the records do not fit onto the disk.
        WorkerError: the process that read died.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    node = ray.get_runtime_context().get_node_id()
    task = ray.remote(max_calls=1)(read).options(
        num_cpus=0,
        max_retries=0,
        scheduling_strategy=On(node, soft=False),
        runtime_env={"env_vars": _ENVIRONMENT},
    )
    reading = task.remote(source, split, cache.default_root())
    try:
        return Place(ray.get(reading), node)
    except ray.exceptions.RayTaskError as error:
        raise _own(error, f"cannot read split {split!r}") from error
    except ray.exceptions.RayError as error:
        raise WorkerError(f"the process that read split {split!r} died: {error}") from error
    except BaseException:
        ray.cancel(reading, force=True)
        raise


def read(source: RecipeSource, split: str, root: Path) -> Path:
    """Read a recipe's stream into records below `root`, in this process; return their folder.

    Where `Stream.files` says which files it reads, records that were made of the same files, by
    the same recipe, are used again.
    """
    recipe = source.load()
    where = f"recipe {recipe.name!r}, split {split!r}"
    stream = getattr(recipe.data(), split)
    neighbours = identity.neighbours(Path(source.origin).parent)
    try:
        key = identity.key(source, stream, split, neighbours)
        if key is not None and (known := cache.find(root, key)):
            return known
        _configure_ray_data(neighbours)
        folder = cache.store(root, lambda folder: _write(recipe, stream, folder))
    except DataError as error:
        raise DataError(f"{where}, {error}") from error
    except ToolkitError:
        raise
    except Exception as error:
        raise DataError(f"{where}: reading failed: {_told(error)}") from error
    if key is not None:
        cache.remember(root, key, folder)
    return folder


def _write(recipe: Recipe, stream: Stream, folder: Path) -> str:
    value = stream.read()
    writer, columns = RecordWriter(folder), identity.columns(stream)
    try:
        for batch in sources.batches(value, columns):
            ready = {
                name: checks.numbers(f"column {name!r}", batch[name], writer.count, instead=_TEXTS)
                for name in columns
            }
            _check_batch(recipe, stream, ready)
            writer.append(ready)
            if writer.count == len(next(iter(ready.values()))):
                _check_room(writer, sources.expected_count(value))
        if writer.count == 0:
            raise DataError("it has no samples")
        return writer.close()
    finally:
        writer.abandon()


def _check_batch(recipe: Recipe, stream: Stream, batch: dict[str, Array]) -> None:
    targets = batch[stream.target]
    checks.targets(recipe, "targets", targets, targets.min(), targets.max())
    if stream.weight is not None:
        weights = batch[stream.weight]
        checks.weights("weights", weights, weights.min())


def _check_room(writer: RecordWriter, count: int | None) -> None:
    """Refuse at the beginning what will not fit, where the number of samples is known."""
    needed = (count or 0) * writer.sample_bytes
    if needed > shutil.disk_usage(writer.folder).free:
        problem = OSError("there is too little space")
        raise storage_error(writer.folder.parents[1], problem, needed)


def _configure_ray_data(neighbours: list[Any]) -> None:
    """Keep the order, bound the memory, and let functions of the recipe reach Ray's tasks."""
    import ray
    from ray import cloudpickle
    from ray.data import DataContext, ExecutionResources

    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.target_max_block_size = _BLOCK
    context.enable_progress_bars = False
    if ray.is_initialized():
        store = ray.cluster_resources().get("object_store_memory", 0) * _OBJECT_STORE_SHARE
        context.execution_options.resource_limits = ExecutionResources(object_store_memory=store)
    for module in neighbours:
        cloudpickle.register_pickle_by_value(module)


def _own(error: Any, what: str) -> ToolkitError:
    """The toolkit's own error behind one that Ray brought, or one that tells of a foreign error."""
    cause = error.cause
    if isinstance(cause, ToolkitError):
        return cause
    return DataError(f"{what}: {_told(cause)}")


def _told(error: BaseException) -> str:
    """The heart of an error, which Ray may have wrapped in tracebacks and advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"(?!ray\.)[\w.]+(Error|Exception)\b", line)]
    if len(lines) > 1 and named:
        return named[-1]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"
