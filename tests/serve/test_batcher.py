import asyncio
import contextlib
import gc
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.runtime import load
from tests.serve.models import BAD, Fake, Summed, double_onnx, version_of
from toolkit.serve.batcher import Batcher
from toolkit.serve.errors import (
    DeadlineError,
    FailedError,
    OverloadError,
    RequestError,
    UnavailableError,
)
from toolkit.serve.settings import Batching

FAR = 1e9


def rows(*values, width=1):
    return {"x": np.repeat(np.array(values, np.float32)[:, None], width, axis=1)}


def request(number, samples, width=1):
    """Every sample is unlike all others."""
    return rows(*(number * 100 + i + 1 for i in range(samples)), width=width)


async def soon(seconds=0.0):
    return asyncio.get_running_loop().time() + (seconds or 60)


async def all_of(batcher, requests):
    deadline = await soon()
    tasks = [asyncio.create_task(batcher.submit(each, deadline)) for each in requests]
    return await asyncio.gather(*tasks, return_exceptions=True)


def right(outcome, inputs):
    np.testing.assert_array_equal(outcome["y"], inputs["x"] * 2)


# ------------------------------------------------------------------------------------ properties

FATES = st.one_of(
    st.just(("good", 0.0)),
    st.just(("good", 0.0)),
    st.just(("bad", 0.0)),
    st.tuples(st.sampled_from(["cancel", "deadline"]), st.sampled_from([0.0, 1e-3, 3e-3])),
)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 1e-3, 4e-3]),  # when
        st.integers(1, 9),  # samples
        st.sampled_from([1, 1, 1, 2]),  # width
        FATES,
    ),
    min_size=1,
    max_size=24,
)


@given(
    REQUESTS,
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([0.0, 1e-3, 5e-3]),
    st.sampled_from([4, 64]),
    st.sampled_from([None, None, 1, 3, 4]),
    st.sampled_from([0.0, 1e-3]),
    st.booleans(),
)
@settings(max_examples=80)
def test_answers_are_never_mixed_dropped_or_reordered(
    requests, size, delay, queue, fixed, seconds, inline
):
    model = Fake(fixed, seconds)
    limits = Batching(size, delay, queue)
    told = []
    seen = asyncio.run(_play(model, limits, requests, inline, lambda *call: told.append(call)))
    good = 0
    for (_, samples, _, (fate, _)), (inputs, outcome) in zip(requests, seen, strict=True):
        if isinstance(outcome, dict):
            right(outcome, inputs)
            good += samples
            assert fate != "bad"
        else:
            assert type(outcome) in _allowed(fate), outcome
    most = max(size, fixed or 1) if size > 1 else 1
    assert all(samples <= most for n, samples, _ in told if n > 1)
    assert sum(samples for _, samples, _ in told) >= good


def _allowed(fate):
    return {
        "good": {OverloadError},
        "bad": {OverloadError, FailedError},
        "cancel": {OverloadError, asyncio.CancelledError},
        "deadline": {OverloadError, DeadlineError},
    }[fate]


async def _play(model, limits, requests, inline, on_batch):
    batcher = Batcher(version_of(model, inline=inline), limits, on_batch)

    async def one(number, at, samples, width, fate):
        kind, seconds = fate
        inputs = request(number, samples, width)
        if kind == "bad":
            inputs["x"][-1] = BAD
        await asyncio.sleep(at)
        deadline = await soon(seconds if kind == "deadline" else 0)
        task = asyncio.create_task(batcher.submit(inputs, deadline))
        if kind == "cancel":
            asyncio.get_running_loop().call_later(seconds, task.cancel)
        done = (await asyncio.gather(task, return_exceptions=True))[0]
        return inputs, done

    async with asyncio.timeout(20):
        seen = await asyncio.gather(*(one(i, *each) for i, each in enumerate(requests)))
        assert batcher.queued == 0
        await batcher.drain()
    with pytest.raises(UnavailableError):
        await batcher.submit(rows(1), FAR)
    return seen


@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=40),
    st.sampled_from([None, 1, 4]),
    st.sampled_from([0.0, 2e-3]),
)
@settings(max_examples=15)
def test_a_real_model_under_concurrency(tmp_path_factory, counts, fixed, delay):
    path = double_onnx(tmp_path_factory.mktemp("onnx") / "m.onnx", batch=fixed or "n")
    version = version_of(load(path))

    async def play():
        batcher = Batcher(version, Batching(8, delay))
        requests = [{"value": request(i, n)["x"]} for i, n in enumerate(counts)]
        for inputs, outcome in zip(requests, await all_of(batcher, requests), strict=True):
            np.testing.assert_array_equal(outcome["twice"], inputs["value"] * 2)
        await batcher.drain()

    asyncio.run(play())


# ---------------------------------------------------------------------------------------- joining


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_what_came_while_the_model_was_busy_runs_together():
    model, told = Fake(seconds=0.02), []

    async def play():
        batcher = Batcher(version_of(model), Batching(), lambda *call: told.append(call))
        requests = [request(i, 2) for i in range(10)]
        for inputs, outcome in zip(requests, await all_of(batcher, requests), strict=True):
            right(outcome, inputs)

    run(play())
    assert [shape for shape, _ in model.calls] == [(2, 1), (18, 1)]
    assert [call[:2] for call in told] == [(1, 2), (9, 18)]
    assert all(seconds >= 0.02 for _, _, seconds in told)


def test_the_first_waits_for_others_up_to_the_delay():
    model = Fake()

    async def play():
        batcher = Batcher(version_of(model), Batching(4, 0.05))
        begun = time.perf_counter()
        await all_of(batcher, [request(i, 1) for i in range(4)])  # full: no waiting
        assert time.perf_counter() - begun < 0.04
        begun = time.perf_counter()
        await all_of(batcher, [request(i, 1) for i in range(3)])
        assert 0.04 < time.perf_counter() - begun < 0.5

    run(play())
    assert [shape for shape, _ in model.calls] == [(4, 1), (3, 1)]


@pytest.mark.parametrize(
    ("size", "fixed", "calls"),
    [
        (1, None, [1, 1, 1, 1]),  # joins nothing
        (1, 4, [4, 4, 4, 4]),
        (2, 4, [4, 4]),  # what the file computes anyway
        (7, 4, [4, 4]),
        (7, None, [1, 3]),
    ],
)
def test_batches_by_size_and_by_what_the_file_fixes(size, fixed, calls):
    model = Fake(fixed, 0.01)

    async def play():
        batcher = Batcher(version_of(model), Batching(size))
        requests = [request(i, 1) for i in range(4)]
        for inputs, outcome in zip(requests, await all_of(batcher, requests), strict=True):
            right(outcome, inputs)

    run(play())
    assert [shape[0] for shape, _ in model.calls] == calls


def test_no_more_are_joined_than_is_good_for_the_model():
    model = Fake(seconds=0.01)

    async def play():
        batcher = Batcher(version_of(model, most=2), Batching(32))
        await all_of(batcher, [request(i, 1) for i in range(5)])

    run(play())
    assert [shape[0] for shape, _ in model.calls] == [1, 2, 2]


def test_a_larger_request_runs_alone():
    model = Fake(4)

    async def play():
        batcher = Batcher(version_of(model), Batching(4))
        right(await batcher.submit(request(1, 11), await soon()), request(1, 11))

    run(play())
    assert [shape[0] for shape, _ in model.calls] == [4, 4, 4]


def test_other_shapes_and_dtypes_are_not_joined_and_keep_their_turn():
    model = Fake(seconds=0.01, dtype="float64")

    async def play():
        batcher = Batcher(version_of(model), Batching())
        wide, double = request(2, 1, width=3), {"x": request(3, 1)["x"].astype(np.float64)}
        requests = [request(0, 1), request(1, 1), wide, double, request(4, 1)]
        for inputs, outcome in zip(requests, await all_of(batcher, requests), strict=True):
            right(outcome, inputs)

    run(play())
    assert [shape for shape, _ in model.calls] == [(1, 1), (2, 1), (1, 3), (1, 1)]


def test_outputs_without_a_row_a_sample_are_never_joined():
    model = Summed(seconds=0.005)
    version = version_of(model)

    async def play():
        batcher = Batcher(version, Batching())
        requests = [request(i, 2) for i in range(5)]
        for inputs, outcome in zip(requests, await all_of(batcher, requests), strict=True):
            assert outcome["y"] == inputs["x"].sum()

    run(play())
    assert not version.joins
    assert len(model.calls) == 1 + 1 + 4  # alone, the attempt, one by one


def test_nothing_to_cut_a_padded_answer_by():
    async def play():
        batcher = Batcher(version_of(Summed(4)), Batching())
        assert await batcher.submit(request(1, 4), await soon())
        with pytest.raises(RequestError, match=r"4 samples .* got 3.*y has no row") as info:
            await batcher.submit(request(1, 3), await soon())
        assert info.value.status == 400

    run(play())


# ----------------------------------------------------------------------------------------- errors


def test_a_bad_request_does_not_fail_those_beside_it():
    async def play():
        batcher = Batcher(version_of(Fake(seconds=0.01)), Batching())
        requests = [request(i, 1) for i in range(5)]
        requests[3] = rows(BAD)
        outcomes = await all_of(batcher, requests)
        failed = outcomes.pop(3)
        assert isinstance(failed, FailedError)
        assert "bad sample" not in str(failed)
        assert "bad sample" in str(failed.__cause__)
        for inputs, outcome in zip(requests[:3] + requests[4:], outcomes, strict=True):
            right(outcome, inputs)

    run(play())


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"z": np.ones((1, 1), np.float32)}, "no input is called 'z'"),
        ({}, "no value for"),
        ({"x": np.ones((0, 1), np.float32)}, "no samples"),
        ({"x": np.float32(1).reshape(())}, "shape"),
        ({"x": np.ones((1, 1), np.complex64)}, "complex64"),
    ],
)
def test_inputs_that_the_model_refuses(inputs, told, inline):
    async def play():
        batcher = Batcher(version_of(Fake(4), inline=inline), Batching())
        with pytest.raises(RequestError, match=told) as info:
            await batcher.submit(inputs, await soon())
        assert info.value.status == 400
        assert "secret" not in str(info.value)

    run(play())


def test_overload_is_refused_with_a_time_to_try_again():
    async def play():
        batcher = Batcher(version_of(Fake(seconds=0.05)), Batching(1, queue=2))
        await batcher.submit(rows(1), await soon())
        outcomes = await all_of(batcher, [request(i, 1) for i in range(5)])
        refused = [each for each in outcomes if isinstance(each, OverloadError)]
        assert len(refused) == 2
        assert 0.1 <= refused[0].retry_after < 1

    run(play())


def test_deadlines_pass_while_waiting_and_while_the_model_hangs():
    model = Fake(seconds=0.2)

    async def play():
        batcher = Batcher(version_of(model), Batching())
        running = asyncio.create_task(batcher.submit(rows(1), await soon(0.05)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(batcher.submit(rows(2), await soon(0.02)))
        await asyncio.sleep(0)
        assert batcher.queued == 1
        begun = time.perf_counter()
        for each in (waiting, running):
            with pytest.raises(DeadlineError):
                await each
        assert batcher.queued == 0
        assert time.perf_counter() - begun < 0.15
        with pytest.raises(DeadlineError):
            await batcher.submit(rows(1), 0.0)
        await batcher.drain()

    run(play())
    assert len(model.calls) == 1


def test_a_cancelled_request_leaves_the_queue_and_is_never_run():
    model = Fake(seconds=0.05)

    async def play():
        batcher = Batcher(version_of(model), Batching())
        first = asyncio.create_task(batcher.submit(rows(1), await soon()))
        await asyncio.sleep(0)
        others = [asyncio.create_task(batcher.submit(rows(2), await soon())) for _ in range(3)]
        await asyncio.sleep(0)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert batcher.queued == 0
        right(await first, rows(1))
        await batcher.drain()

    run(play())
    assert len(model.calls) == 1


def test_what_was_cancelled_just_now_is_not_run_with_the_others():
    model = Fake()

    async def play():
        batcher, deadline = Batcher(version_of(model), Batching(3, 30)), await soon()
        tasks = [asyncio.create_task(batcher.submit(rows(i), deadline)) for i in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # its task did not notice yet
        last = batcher.submit(rows(2), deadline)
        last.send(None)  # makes it three
        right(await tasks[1], rows(1))
        last.close()

    run(play())
    assert [shape for shape, _ in model.calls] == [(2, 1)]


# ---------------------------------------------------------------------------------------- draining


def test_draining_answers_what_waits_without_the_delay():
    async def play():
        batcher = Batcher(version_of(Fake(seconds=0.01)), Batching(64, 30))
        tasks = [asyncio.create_task(batcher.submit(rows(i), await soon())) for i in range(4)]
        await asyncio.sleep(0)
        await batcher.drain()
        for i, each in enumerate(tasks):
            right(await each, rows(i))
        with pytest.raises(UnavailableError):
            await batcher.submit(rows(1), await soon())

    run(play())


def test_closing_refuses_what_waits_and_runs():
    async def play():
        batcher = Batcher(version_of(Fake(seconds=0.1)), Batching(1))
        tasks = [asyncio.create_task(batcher.submit(rows(i), await soon())) for i in range(3)]
        await asyncio.sleep(0)
        batcher.close()
        for each in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(each, UnavailableError)
        await batcher.drain()

    run(play())


def test_a_drained_batcher_keeps_no_model():
    async def play():
        model = Fake()
        batcher = Batcher(version_of(model), Batching(2, 1e-3))
        await all_of(batcher, [rows(1), rows(2), rows(3)])
        await batcher.drain()
        return weakref.ref(model)

    gc.disable()  # nothing waits for a look at the garbage
    gone = run(play())
    for _ in range(100):
        if gone() is None:
            break
        time.sleep(0.01)
    gc.enable()
    assert gone() is None


# ------------------------------------------------------------------------------------------ inline


def test_a_fast_model_runs_in_the_event_loop_and_a_large_request_does_not():
    import threading

    threads = []

    class Where(Fake):
        def answer(self, x):
            threads.append(threading.current_thread().name)
            return super().answer(x)

    async def play():
        batcher = Batcher(version_of(Where(), inline=True, seconds=1e-4), Batching())
        await batcher.submit(request(1, 10), await soon())
        await batcher.submit(request(1, 11), await soon())
        await batcher.drain()

    run(play())
    assert threads == ["MainThread", "toolkit-model"]


def test_a_fast_model_is_not_called_in_the_loop_while_its_thread_does():
    model = Fake(seconds=0.05)

    async def play():
        batcher = Batcher(version_of(model, inline=True, seconds=1e-4), Batching())
        large = asyncio.create_task(batcher.submit(request(1, 50), await soon()))
        await asyncio.sleep(0.01)
        right(await batcher.submit(request(2, 1), await soon()), request(2, 1))
        right(await large, request(1, 50))
        await batcher.drain()

    run(play())
    assert [shape[0] for shape, _ in model.calls] == [50, 1]


def test_an_inline_call_adds_next_to_nothing(tmp_path):
    version = version_of(load(double_onnx(tmp_path / "m.onnx")), inline=True)
    inputs = {"value": np.ones((1, 1), np.float32)}

    def least(call, times=300):
        best = float("inf")
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(times):
                call()
            best = min(best, (time.perf_counter() - begun) / times)
        return best

    async def play():
        batcher, deadline = Batcher(version, Batching()), await soon()

        def submit():
            with contextlib.suppress(StopIteration):
                batcher.submit(inputs, deadline).send(None)

        return least(submit) - least(lambda: version.run(inputs))

    assert run(play()) < 20e-6  # about 2 on an idle machine
