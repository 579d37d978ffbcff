"""What is counted for versions goes with them."""

from types import SimpleNamespace

from toolkit.serve.metrics import Metrics

NOTHING = SimpleNamespace(served=list)


def test_versions_that_are_gone_are_forgotten():
    metrics = Metrics()
    for model in ("a", "b"):
        for number in range(1, 40):
            metrics.answered(model, number, "predict", 0.01)
            metrics.batch(model, number, 4, 0.01)
    before = len(metrics.text(NOTHING))
    metrics.forget("a", [38, 39])
    text = metrics.text(NOTHING).decode()
    assert len(text) < 0.6 * before
    assert 'model="a",version="37"' not in text
    assert 'toolkit_batch_seconds_count{model="a",version="38"} 1.0' in text
    assert 'toolkit_batch_seconds_count{model="b",version="1"} 1.0' in text
    assert (metrics.latency("a", 37), metrics.latency("a", 38)["count"]) == ({}, 1)
