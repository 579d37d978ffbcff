"""Dividing CPUs and GPUs, by property: never more than there is."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.errors import ResourceError, ToolkitError
from toolkit.train import cluster
from toolkit.train.resources import Allocation, allocate


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None, 1, 2, 0, 32), Allocation(2, 1.0, 0, 1, True)),
        ((None, 2, 2, 0, 32), Allocation(2, 0.5, 0, 1, True)),
        (((1, 1), 2, 2, 0, 32), Allocation(1, 1.0, 0, 1, True)),
        ((None, 1, 16, 0, 3), Allocation(3, 5.0, 0, 5, True)),  # no more than samples in a batch
        (((4, 4), 1, 16, 0, 3), Allocation(4, 4.0, 0, 4, True)),  # unless asked for
        (((2, 2), 2, 16, 0, 32), Allocation(2, 4.0, 0, 4, True)),
        ((None, 1, 16, 2, 32), Allocation(2, 8.0, 1, 8, True)),
        ((None, 2, 16, 2, 32), Allocation(2, 8.0, 1, 8, False)),  # not enough GPUs for both
        (((1, 1), 2, 16, 2, 32), Allocation(1, 8.0, 1, 8, True)),
        (((1, 1), 1, 16, 4, 32), Allocation(1, 16.0, 4, 16, True)),
        (((4, 4), 1, 16, 2, 32), Allocation(4, 4.0, 0, 4, True)),
        (((1, 1), 1, 1, 0, 1), Allocation(1, 1.0, 0, 1, True)),
        (((1, 4), 1, 2, 0, 32), Allocation(2, 1.0, 0, 1, True)),  # what there is
        (((1, 4), 1, 16, 0, 32), Allocation(4, 4.0, 0, 4, True)),  # no more than asked for
        (((2, 4), 1, 16, 1, 32), Allocation(2, 8.0, 0, 8, True)),
    ],
)
def test_examples(arguments, expected):
    assert allocate(*arguments) == expected


counts = st.integers(1, 64)


@given(st.none() | counts, st.sampled_from([1, 2]), counts, st.integers(0, 16), counts)
@example(3, 2, 4, 0, 32)
def test_never_more_than_there_is(wanted, frameworks, cpus, gpus, batch):
    if wanted is not None and wanted > cpus:
        with pytest.raises(ResourceError):
            allocate((wanted, wanted), frameworks, cpus, gpus, batch)
        return
    got = allocate(wanted and (wanted, wanted), frameworks, cpus, gpus, batch)
    at_once = got.workers * (frameworks if got.side_by_side else 1)
    assert got.workers >= 1
    assert got.workers == wanted or wanted is None
    assert got.cpus > 0
    assert got.cpus * at_once <= cpus + 1e-9
    assert got.gpus * at_once <= gpus
    assert got.threads == 1 or got.threads * at_once <= cpus
    assert got.threads >= 1
    if wanted is None:
        assert got.workers <= min(cpus, batch)
        assert got.gpus >= 1 or gpus == 0
    if gpus == 0:
        assert got.side_by_side


@pytest.mark.parametrize(("wanted", "cpus"), [(3, 2), (100, 16)])
def test_too_many_workers_are_refused_with_the_numbers(wanted, cpus):
    with pytest.raises(ResourceError, match=rf"{wanted} workers need {wanted} CPUs, but there are "
                       rf"{cpus}; use --workers {cpus} or fewer"):  # fmt: skip
        allocate((wanted, wanted), 1, cpus, 0, 32)


@given(counts, counts, counts, counts)
def test_a_range_takes_what_there_is(one, other, cpus, batch):
    least, most = sorted((one, other))
    if least > cpus:
        with pytest.raises(ResourceError, match=f"{least} workers need"):
            allocate((least, most), 1, cpus, 0, batch)
        return
    got = allocate((least, most), 1, cpus, 0, batch).workers
    assert least <= got <= most
    assert got == least or got <= min(cpus, batch)


def test_a_cluster_without_cpus_is_refused_with_advice_that_can_be_followed():
    with pytest.raises(ResourceError) as caught:
        allocate(None, 1, 0, 0, 32)
    assert "--workers 0" not in str(caught.value)


def test_ray_that_does_not_start_is_told_with_the_next_step(monkeypatch):
    """On a busy machine Ray raises an Exception of no kind."""
    import ray

    def init(**_):
        raise Exception("The current node timed out during startup.\nAnd more.")

    monkeypatch.setattr(ray, "init", init)
    told = "cannot start Ray on this machine: The current node timed out during startup.; try again"
    with pytest.raises(ToolkitError, match=re.escape(told)), cluster.connect(None, verbose=False):
        pass
