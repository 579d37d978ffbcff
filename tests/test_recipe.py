"""A recipe refuses bad values when it is made, and names the field."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import SGD, Adam, Cosine, Flip, PerFramework, Probe, Recipe, Shift
from toolkit.errors import RecipeError

NOT_COUNTS = [0, -1, 1.0, 2.5, "3", None, True, math.nan]
NOT_AMOUNTS = [-1.0, math.nan, math.inf, "1", None, 1j]
NOT_NAMES = ["", "a b", "../a", "a.b", "é", "-a", "a\n", "x" * 65, None, 3]
NOT_STEPS = [
    5,
    "scale",
    [{"step": "scael", "factor": 1}],
    [{"factor": 1}],
    {"step": "scale", "factor": 1},
    {"input": [{"step": "scale"}]},
    {"input": 3},
]
TOKENISE = {"step": "tokenise", "vocabulary": ["", "?"], "length": 3, "unknown": 1, "padding": 0}
NOT_PROBES = [
    4.0,
    (4.0, 8.0),
    Probe(4.0, math.nan),
    Probe(4.0, None),
    Probe(4.0, "8"),
    Probe(4.0, 8.0, math.inf),
    Probe(4.0, 8.0, -0.1),
]

BAD = {
    "name": NOT_NAMES,
    "input_name": NOT_NAMES,
    "output_name": NOT_NAMES,
    "data": [None, 3, []],
    "keras": [3, "model", None],
    "torch": [3, "model"],
    "keras_callbacks": [3, ["callback"]],
    "epochs": NOT_COUNTS,
    "global_batch": NOT_COUNTS,
    "validate_every": NOT_COUNTS,
    "golden": NOT_COUNTS,
    "seed": [-1, 2**31, 1.5, "0", None, True],
    "tolerance": NOT_AMOUNTS,
    "loss": ["huber", "", None, 3, print],
    "metrics": [("f1",), ("accuracy", "maee"), (None,), 5, None],
    "decision": ["max", "", 3],
    "optimizer": ["sgd", None, SGD],
    "schedule": ["cosine", 3, Cosine(-1), Cosine(1.5), Cosine(0, -0.1), Cosine(0, 1.1)],
    "probe": NOT_PROBES,
    "labels": ["abc", 3, (1, 2), (None,)],
    "preprocessing": NOT_STEPS,
    "postprocessing": [*NOT_STEPS, [TOKENISE]],
    "augment": [5, "flip", Flip(), Flip, [Flip], (Flip(), 3), {"input": Flip()}, {"input": (3,)}],
}
CASES = [(name, value) for name, values in BAD.items() for value in values]


def recipe(**fields):
    return Recipe(**{"name": "job", "data": dict, "keras": dict, **fields})


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{n}={v!r:.40}" for n, v in CASES])
def test_a_bad_value_is_refused_and_its_field_named(name, value):
    with pytest.raises(RecipeError) as caught:
        recipe(**{name: value})
    assert f"field {name!r}" in str(caught.value)
    title = value if name == "name" and isinstance(value, str) else "?" if name == "name" else "job"
    assert f"recipe {title!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("optimizer", "field"),
    [
        *[(SGD(learning_rate=value), "learning_rate") for value in NOT_AMOUNTS],
        *[(SGD(momentum=value), "momentum") for value in NOT_AMOUNTS],
        *[(Adam(beta_1=value), "beta_1") for value in NOT_AMOUNTS],
        *[(Adam(weight_decay=value), "weight_decay") for value in NOT_AMOUNTS],
        (Adam(beta_2=1.0), "beta_2"),
        (Adam(epsilon="tiny"), "epsilon"),
        (SGD(learning_rate=True), "learning_rate"),
        (SGD(momentum=1.5), "momentum"),
        (SGD(nesterov="yes"), "nesterov"),
        (SGD(nesterov=True), "nesterov"),
    ],
)
def test_a_bad_optimizer_is_refused_and_its_field_named(optimizer, field):
    with pytest.raises(RecipeError, match=rf"'optimizer\.{field}'"):
        recipe(optimizer=optimizer)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a"},
        {"name": "A-1_b" + "x" * 59},
        {"seed": 2**31 - 1},
        {"seed": np.int64(3), "epochs": np.int32(2)},
        {"tolerance": 0},
        {"tolerance": np.float32(0.5)},
        {"optimizer": SGD(0.1, momentum=0.9, nesterov=True)},
        {"optimizer": Adam(weight_decay=0.01)},
        {"schedule": Cosine(10, 1.0)},
        {"metrics": ("accuracy", "mse", "mae")},
        {"metrics": ()},
        {"labels": ("a", "b")},
        {"labels": ["a", "b"]},
        {"probe": Probe(4.0, 8)},
        {"preprocessing": [{"step": "scale", "factor": 2}]},
        {"preprocessing": {"input": ({"step": "cast", "dtype": "uint8"},)}},
        {"postprocessing": ({"step": "softmax"}, {"step": "top_k", "k": 3})},
        {"preprocessing": [{**TOKENISE, "vocabulary": [f"слово{n}" for n in range(10_000)]}]},
        {"augment": [Flip(), Shift(2), lambda array, random: array]},
        {"augment": {"input": (Flip(),), "mask": ()}},
        {"keras": None, "torch": dict},
    ],
)
def test_good_values_are_taken(fields):
    made = recipe(**fields)
    assert {name: getattr(made, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("field", "typo", "meant"),
    [
        ("loss", "msee", "mse"),
        ("loss", "crossentropy", "cross_entropy"),
        ("loss", "binary_crossentropy", "binary_cross_entropy"),
        ("metrics", ("acuracy",), "accuracy"),
        ("decision", "argmin", "argmax"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(field, typo, meant):
    with pytest.raises(RecipeError, match=f"did you mean {meant!r}"):
        recipe(**{field: typo})


def test_a_name_like_none_is_answered_with_all():
    with pytest.raises(RecipeError, match="there is: binary_cross_entropy, cross_entropy, mae"):
        recipe(loss="zzz")


@pytest.mark.parametrize("field", ["loss", "optimizer"])
@pytest.mark.parametrize(
    ("builders", "given", "missing"),
    [
        (("keras",), "torch", "keras"),
        (("torch",), "keras", "torch"),
        (("keras", "torch"), "keras", "torch"),
        (("keras", "torch"), "torch", "keras"),
    ],
)
def test_a_framework_without_its_side_is_refused(field, builders, given, missing):
    fields = {"keras": None, "torch": None} | dict.fromkeys(builders, dict)
    with pytest.raises(RecipeError, match=rf"field {field!r}: has no {missing!r} function"):
        recipe(**fields, **{field: PerFramework(**{given: dict})})
    enough = PerFramework(**dict.fromkeys(builders, dict))
    assert getattr(recipe(**fields, **{field: enough}), field) is enough


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "value"),
        ({"loss": "mae"}, "value"),
        ({"loss": "cross_entropy"}, "argmax"),
        ({"loss": "binary_cross_entropy"}, "sign"),
        ({"loss": PerFramework(keras=dict)}, "value"),
        ({"loss": PerFramework(keras=dict), "decision": "argmax"}, "argmax"),
        ({"loss": "cross_entropy", "decision": "value"}, "value"),
    ],
)
def test_the_decision_fits_the_loss_unless_given(fields, expected):
    assert recipe(**fields).decides_by == expected


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ({"member": "words.txt"}, "give the vocabulary's tokens; only a bundle can name a member"),
        ([f"word{n:050}" for n in range(20_000)], "over the limit of 983040: .* shorten the voc"),
        ([], "step 0 .tokenise.: vocabulary is"),
    ],
)
def test_vocabularies_that_no_exported_file_can_carry(vocabulary, words):
    with pytest.raises(RecipeError, match=f"'preprocessing': .*{words}"):
        recipe(preprocessing=[{**TOKENISE, "vocabulary": vocabulary}])


def test_frameworks_are_those_with_a_builder():
    assert recipe().frameworks == ("tf",)
    assert recipe(keras=None, torch=dict).frameworks == ("torch",)
    assert recipe(torch=dict).frameworks == ("tf", "torch")


def test_steps_are_plain_data_by_input():
    step = {"step": "scale", "factor": 2}
    assert recipe(preprocessing=(step,)).steps_for("anything") == [step]
    named = recipe(preprocessing={"a": (step,)})
    assert named.steps_for("a") == [step]
    assert named.steps_for("b") == []


@given(st.integers(0, 50), st.floats(0, 1), st.integers(1, 300))
def test_cosine_rises_then_falls_to_its_final_factor(warmup, final, total):
    schedule = Cosine(warmup, final)
    factors = [schedule.factor(step, total) for step in range(total)]
    assert all(0 <= factor <= 1 for factor in factors)
    rising, falling = factors[:warmup], factors[warmup:]
    assert rising == sorted(rising)
    assert rising == [(step + 1) / warmup for step in range(len(rising))]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    if falling:
        assert falling[0] == pytest.approx(1)
    if len(falling) > 1:
        assert falling[-1] == pytest.approx(final)
        assert schedule.factor(total + 5, total) == pytest.approx(final)


def test_cosine_is_halfway_in_the_middle():
    assert Cosine(0, 0.0).factor(50, 101) == pytest.approx(0.5)
    assert Cosine(10, 0.2).factor(60, 111) == pytest.approx(0.6)
