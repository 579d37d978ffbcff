"""A recipe's data, checked and preprocessed, ready to be sharded.

Arrays are checked in the parent process before anything is started, so that bad data costs
seconds; streams are read by `Unread.read` once Ray is there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.steps import takes_text
from toolkit.data import augmented, cache, checks, ingest
from toolkit.data.arrays import Part, check_names, in_memory
from toolkit.data.copies import Place
from toolkit.data.probe import preprocess, probe_inputs
from toolkit.data.records import Records
from toolkit.data.rollouts import check_experience
from toolkit.data.samples import Form, Recorded, Samples, SampleStore
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe
from toolkit.source import RecipeSource
from toolkit.specs import Data, Experience, Split, Stream

__all__ = ["Dataset", "SampleStore", "Samples", "Unread", "load", "preprocess", "probe_inputs"]

_SPLITS = ("train", "validation")
_OR_EXPERIENCE = {"train": " or toolkit.Experience"}


@dataclass(frozen=True)
class Dataset:
    """Both splits after preprocessing, and the raw validation inputs for golden vectors.

    Attributes:
        train: preprocessed training samples; those of `Experience.example` where players bring
            the others.
        validation: preprocessed validation samples.
        raw: validation inputs by name, before preprocessing; texts as `str` objects.
        probe: the probe's preprocessed inputs by name, each [1, ...], or None.
        sha256: of all samples, so that a later run can tell whether data changed.
        places: records that workers need on their machines; see `toolkit.data.copies.prepare`.
        records: their folders by split.
        round_samples: how many samples players bring in a round; 0 where there are none.
    """

    train: SampleStore
    validation: SampleStore
    raw: Mapping[str, Array]
    probe: Mapping[str, Array] | None
    sha256: str
    places: tuple[Place, ...] = ()
    records: Mapping[str, Path] = field(default_factory=dict)
    round_samples: int = 0

    @property
    def epoch_samples(self) -> int:
        """Samples that an epoch trains on."""
        return self.round_samples or len(self.train)


@dataclass(frozen=True)
class Unread:
    """Data of which at least one split is a stream that was not read yet.

    Attributes:
        recipe: whose data these are.
        parts: splits that were in memory, checked.
        streams: the others.
    """

    recipe: Recipe
    parts: Mapping[str, Part]
    streams: Mapping[str, Stream]

    def read(self, source: RecipeSource) -> Dataset:
        """Read the streams into records on this machine; needs a connection to Ray, and free CPUs.

        Args:
            source: the recipe's; what is read is read by another process.

        Raises:
            DataError: names the split and what is wrong with it.
            StorageError: the records do not fit onto the disk.
            WorkerError: the process that read died.
        """
        parts = dict(self.parts)
        for name, stream in self.streams.items():
            parts[name] = _recorded(self.recipe, name, stream, ingest.materialise(source, name))
        return _joined(self.recipe, parts)

    def again(self, records: Mapping[str, str]) -> Dataset:
        """Take the records that an earlier `read` on this machine made; needs no Ray.

        Args:
            records: folder by split, as in `Dataset.records`.

        Raises:
            DataError: they are gone or damaged.
        """
        parts = dict(self.parts)
        for name, stream in self.streams.items():
            folder = Path(records.get(name, ""))
            if name not in records or not cache.is_whole(folder):
                raise DataError(
                    f"recipe {self.recipe.name!r}, split {name!r}: the records that it was read "
                    "into are not on this machine any more; train again"
                )
            parts[name] = _recorded(self.recipe, name, stream, Place(folder, ""))
        return _joined(self.recipe, parts)


def load(recipe: Recipe) -> Dataset | Unread:
    """Call the recipe's `data` function, check what it returns, and preprocess it.

    Raises:
        DataError: names the split and what is wrong with it.
    """
    try:
        data = recipe.data()
    except Exception as error:
        raise DataError(
            f"recipe {recipe.name!r}: its data function failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(data, Data):
        raise DataError(f"recipe {recipe.name!r}: its data function must return toolkit.Data")
    parts, streams = dict[str, Part](), dict[str, Stream]()
    for name in _SPLITS:
        split, where = getattr(data, name), f"recipe {recipe.name!r}, split {name!r}"
        match split:
            case Split():
                parts[name] = in_memory(recipe, name, where, split)
            case Stream():
                _check_stream(recipe, where, split)
                streams[name] = split
            case Experience() if name == "train":
                check_experience(where, split)
                part = in_memory(recipe, name, f"{where}, example", split.example)
                parts[name] = replace(part, round_samples=split.samples)
            case _:
                kind = type(split).__name__
                known = "toolkit.Split or toolkit.Stream" + _OR_EXPERIENCE.get(name, "")
                raise DataError(f"{where}: must be {known}, not {kind}")
    return Unread(recipe, parts, streams) if streams else _joined(recipe, parts)


def _check_stream(recipe: Recipe, where: str, stream: Stream) -> None:
    if not callable(stream.read):
        raise DataError(f"{where}: Stream.read must be a function, not {stream.read!r:.80}")
    inputs = _columns(recipe, stream)
    check_names(recipe, where, inputs)
    for name in inputs:
        if takes_text(recipe.steps_for(name)):
            raise DataError(
                f"{where}, input {name!r}: a Stream holds numbers only; give the texts as a Split, "
                "or tokenise them in 'read', without a 'tokenise' step"
            )
    names = [*inputs.values(), stream.target, *([] if stream.weight is None else [stream.weight])]
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{where}: a Stream's columns must be texts, not {name!r:.80}")


def _columns(recipe: Recipe, stream: Stream) -> dict[str, str]:
    """Column by input name."""
    if isinstance(stream.inputs, Mapping):
        return dict(stream.inputs)
    return {recipe.input_name: stream.inputs}


def _recorded(recipe: Recipe, name: str, stream: Stream, place: Place) -> Part:
    """A split whose stream was read; what the cache holds may be of another form of the recipe."""
    where, records = f"recipe {recipe.name!r}, split {name!r}", Records(Path(place.folder))
    targets, limits = records[stream.target], records.limits(stream.target)
    checks.targets(recipe, f"{where}, targets", targets, *limits)
    if stream.weight is not None:
        checks.some_weight(f"{where}, weights", records.limits(stream.weight)[1])
    inputs = _columns(recipe, stream)
    form = Form.of(recipe, name, list(inputs))
    samples = Recorded(records, form, inputs, stream.target, stream.weight)
    roles = repr((records.sha256, list(inputs.items()), stream.target, stream.weight))
    return Part(samples, samples.raw, hashlib.sha256(roles.encode()).hexdigest(), place)


def _joined(recipe: Recipe, parts: Mapping[str, Part]) -> Dataset:
    train, validation = (parts[name] for name in _SPLITS)
    _same_form(train.samples, validation.samples)
    augmented.check(recipe, train.samples)
    # torch modules and exported files take inputs by position: one order everywhere
    names = list(train.raw)
    raw = validation.raw
    if list(raw) != names:
        raw = {name: raw[name] for name in names}
    probe = preprocess(recipe, probe_inputs(recipe, raw)) if recipe.probe is not None else None
    return Dataset(
        train.samples,
        validation.samples.ordered(names),
        raw,
        probe,
        hashlib.sha256(f"{train.sha256} {validation.sha256}".encode()).hexdigest(),
        tuple(part.place for part in (train, validation) if part.place is not None),
        {name: part.place.folder for name, part in parts.items() if part.place is not None},
        train.round_samples,
    )


def _same_form(train: SampleStore, validation: SampleStore) -> None:
    one, other = train.take(slice(0, 1)), validation.take(slice(0, 1))
    if set(one.inputs) != set(other.inputs):
        raise DataError(
            f"inputs differ: train has {sorted(one.inputs)}, validation {sorted(other.inputs)}"
        )
    pairs = [(f"input {name!r}", a, other.inputs[name]) for name, a in one.inputs.items()]
    for where, array, same in [*pairs, ("targets", one.targets, other.targets)]:
        if array.shape[1:] != same.shape[1:] or array.dtype != same.dtype:
            raise DataError(
                f"{where}: a train sample is {array.dtype} of shape {array.shape[1:]}, "
                f"a validation sample {same.dtype} of shape {same.shape[1:]}"
            )
