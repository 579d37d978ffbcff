"""A card says what a model means, and survives its run.json."""

import json

import pytest

from toolkit import Recipe, source
from toolkit.card import Card
from toolkit.errors import UsageError


@pytest.mark.parametrize(
    "card",
    [
        Card("plain"),
        Card(
            "all",
            preprocessing={"x": [{"step": "scale", "factor": 0.5}]},
            decision="argmax",
            labels=("a", "b"),
            metrics=("accuracy",),
            input_name="x",
            postprocessing=({"step": "softmax"}, {"step": "top_k", "k": 2}),
        ),
    ],
)
def test_round_trip(card):
    again = Card.from_json(json.loads(json.dumps(card.to_json())))
    assert json.dumps(again.to_json()) == json.dumps(card.to_json())
    assert again.steps_for("x") == card.steps_for("x")
    assert (again.labels, again.metrics, again.decision) == (
        card.labels,
        card.metrics,
        card.decision,
    )


def test_a_recipe_becomes_its_card():
    card = Card.of(source.find("digits").load())
    assert (card.name, card.decision, card.metrics) == ("digits", "argmax", ("accuracy",))
    assert card.steps_for("image") == [{"step": "scale", "factor": 1 / 16}]
    assert card.probe.expected == 0


def test_a_card_of_an_older_run_is_read():
    value = Card("x", decision="argmax").to_json()
    del value["postprocessing"]
    assert Card.from_json(value) == Card("x", decision="argmax")


def test_postprocessing_goes_from_the_recipe_to_the_card():
    steps = ({"step": "softmax"},)
    assert Card.of(Recipe("job", dict, torch=dict, postprocessing=steps)).postprocessing == steps


def test_a_damaged_card_is_refused():
    with pytest.raises(UsageError, match=r"card in run\.json is damaged"):
        Card.from_json({"name": "x"} | {"labels": None})
    with pytest.raises(UsageError, match=r"card in run\.json is damaged"):
        Card.from_json(Card("x").to_json() | {"colour": "red"})
