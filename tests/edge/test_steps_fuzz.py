"""Whatever a manifest says: steps are refused by InputError, or they run."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import steps
from edge.errors import InputError

NUMBERS = (
    st.integers(-3, 12)
    | st.sampled_from([0.5, 1e-30, 1e30, 1e300, -1e39, 2**31, 2**63, 2**70, 10**20, True, None])
    | st.floats(allow_nan=True)
)
WORDS = st.sampled_from(
    ["int8", "uint8", "int64", "float16", "bilinear", "nearest", "end", "begin", "both", "hann",
     "htk", "none", "e", "10", "words", "characters", "", "\ud800"]
)  # fmt: skip
VALUES = (
    NUMBERS
    | WORDS
    | st.lists(NUMBERS, max_size=4)
    | st.lists(st.integers(-1, 4), min_size=1, max_size=3)
    | st.lists(WORDS, max_size=4)
    | st.dictionaries(st.sampled_from(["member", "x"]), NUMBERS | WORDS, max_size=2)
)
BATCHES = [
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3),
    np.array([[0.5, np.nan, np.inf, -np.inf, 1e38]]),
    np.array([[True, False]]),
    np.array([[2**63 + 1, 2**64 - 1]], np.uint64),
    np.array([3, -7], np.int16),
    np.zeros((0, 3)),
    np.zeros((2, 0, 3), np.float16),
    np.array(["a b", ""]),
    np.array(["a", 1, None], object),
    np.array([[1 + 2j]]),
]


@st.composite
def any_step(draw):
    name = draw(st.sampled_from(sorted(steps.FIELDS)))
    needed, optional = steps.FIELDS[name]
    chosen = [*needed, *(field for field in optional if draw(st.booleans()))]
    return {"step": name, **{field: draw(VALUES) for field in chosen}}


def refusal(call, *given):
    """What `call` gives, and the words with which it refuses."""
    try:
        with np.errstate(all="ignore"):
            return call(*given), ""
    except InputError as error:
        return None, str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_step(), min_size=1, max_size=2))
def test_steps_are_refused_or_run(chain):
    run, words = refusal(steps.compile, chain)
    if run is None:
        assert words.startswith("step ")
        return
    json.dumps(chain, allow_nan=False)
    for batch in BATCHES:
        made, words = refusal(run, batch)
        if made is None:
            assert words.startswith("step ")
        else:
            assert len(made) == len(batch)
            assert made.dtype.kind in "biuf"
    for shape in ((), (4,), (2, 3), (2, None, 3)):
        raw, words = refusal(steps.raw_shape, chain, shape)
        assert words or all(size is None or size > 0 for size in raw)
