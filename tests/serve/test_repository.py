import asyncio
import contextlib
import json
import shutil
from dataclasses import replace

import numpy as np
import psutil
import pytest

from tests.serve.models import bundle, double_onnx, write_keys
from toolkit.errors import CheckError, NotFoundError, UsageError
from toolkit.serve import repository as repository_module
from toolkit.serve.errors import RequestError, UnavailableError, UnknownError
from toolkit.serve.repository import Repository, Source, State
from toolkit.serve.settings import Batching, Loading

POLL = 0.02
ONE = {"value": np.ones((1, 1), np.float32)}


class World:
    """A folder of versions, a repository that watches it, and what it told."""

    def __init__(self, folder, loading, **options):
        self.folder, self.events = folder, []
        self.repository = Repository(
            [Source("m", folder)], loading, Batching(), self.events.append, **options
        )

    @contextlib.asynccontextmanager
    async def life(self):
        await self.repository.start()
        watching = asyncio.create_task(self.repository.watch(POLL))
        try:
            yield self
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self.repository.stop(5)

    async def ask(self, **wanted):
        """The factor of the version that answers."""
        served = self.repository.find("m", **wanted)
        prepared = served.version.prepare(ONE)
        deadline = asyncio.get_running_loop().time() + 10
        out = await served.batcher.submit(prepared, deadline)
        return float(out["twice"][0, 0])

    async def until(self, event, version):
        async with asyncio.timeout(10):
            while not any(e["event"] == event and e.get("version") == version for e in self.events):
                await asyncio.sleep(0.005)
        return next(e for e in self.events if e["event"] == event and e.get("version") == version)

    def states(self):
        return {s.version: s.state for s in self.repository.status("m")}


@pytest.fixture
def loading(tmp_path):
    return Loading(keys=write_keys(tmp_path / "keys.json"), selftest=False)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "models"
    put(path, 1)
    return path


def put(folder, number, factor=None, **changes):
    """Rename a finished version into a folder; version n is y = n x."""
    return bundle(folder / f"{number}.edge", factor or float(number), **changes)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def played(play, folder, loading, **options):
    async def whole():
        async with World(folder, loading, **options).life() as world:
            await play(world)

    run(whole())


# ------------------------------------------------------------------------------------------- start


def test_start_loads_the_newest_good_version(folder, loading):
    put(folder, 2)
    put(folder, 3, golden=99)
    put(folder, 4, seed=None)

    async def play(world):
        assert await world.ask() == 2
        repository = world.repository
        assert repository.ready
        assert repository.names == ("m",)
        assert [each.version.number for each in repository.served()] == [2]
        assert world.states() == {4: "END", 3: "END", 2: "AVAILABLE", 1: "END"}
        wrong = repository.status("m", 3)[0]
        assert "wrong answer" in wrong.error
        assert str(folder) not in wrong.error
        assert repository.status("m", 2) == [State(2, "AVAILABLE")]

    played(play, folder, loading)


def test_start_with_nothing_good(tmp_path, loading):
    folder = tmp_path / "models"
    put(folder, 1, golden=99)
    with pytest.raises(CheckError, match=r"models/1\.edge: "):
        run(World(folder, loading).repository.start())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no versions"):
        run(World(tmp_path / "empty", loading).repository.start())
    with pytest.raises(NotFoundError):
        run(World(tmp_path / "none.edge", loading).repository.start())


def test_two_models_of_one_name(folder, loading):
    with pytest.raises(UsageError, match="two models are called m"):
        Repository([Source("m", folder), Source("m", folder)], loading, Batching())


def test_what_is_not_there(folder, loading):
    async def play(world):
        find = world.repository.find
        with pytest.raises(UnknownError, match="no model 'x'; there is m"):
            find("x")
        with pytest.raises(UnknownError, match="version 7: there is none; available: 1"):
            find("m", version=7)
        with pytest.raises(UnknownError, match="no label 'a'; it has none"):
            find("m", label="a")
        with pytest.raises(RequestError, match="not both"):
            find("m", version=1, label="a")
        with pytest.raises(UnknownError, match="no version 7"):
            world.repository.status("m", 7)
        with pytest.raises(UnknownError):
            world.repository.status("x")

    played(play, folder, loading)


def test_calls_of_the_model_are_told(folder, loading):
    told = []

    async def play(world):
        await world.ask()

    played(play, folder, loading, on_batch=lambda *call: told.append(call))
    ((name, number, samples, seconds),) = told
    assert (name, number, samples) == ("m", 1, 1)
    assert seconds > 0


# -------------------------------------------------------------------------------------------- swap


@pytest.mark.parametrize("inline", [True, False])
def test_a_new_version_takes_over_without_a_failed_request(folder, loading, inline, monkeypatch):
    if not inline:
        monkeypatch.setattr("toolkit.serve.opening._INLINE_SECONDS", 0.0)

    async def play(world):
        seen, ended = [], asyncio.Event()

        async def client():
            while not ended.is_set():
                seen.append(await world.ask())
                await asyncio.sleep(0)

        clients = [asyncio.create_task(client()) for _ in range(8)]
        for number in range(2, 7):
            put(world.folder, number)
            await world.until("loaded", number)
            await world.until("unloaded", number - 1)
            assert await world.ask() == number
        ended.set()
        await asyncio.gather(*clients)  # raises if one request failed
        assert set(seen) == {1, 2, 3, 4, 5, 6}
        assert world.states()[5] == "END"

    played(play, folder, loading)


BAD = {
    "golden": {"golden": 99},
    "unsigned": {"seed": None},
    "untrusted": {"seed": 7},
    "unverified": {"verified": False},
    "no model": {"content": b"no model"},
}


@pytest.mark.parametrize("kind", [*BAD, "damaged", "cut off", "two files", "crash"])
def test_a_bad_version_is_refused_once_and_the_old_one_stays(
    folder, loading, kind, tmp_path, monkeypatch
):
    async def play(world):
        other = tmp_path / "elsewhere"
        path = put(other, 2, **BAD.get(kind, {}))
        content = bytearray(path.read_bytes())
        if kind == "damaged":
            content[-1] ^= 1
        target = folder / "2" / "m.edge"
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "m.edge").write_bytes(content[:-9] if kind == "cut off" else content)
        if kind == "two files":
            (tmp_path / "2" / "n.edge").write_bytes(content)
        if kind == "crash":
            package = tmp_path / "broken" / "onnxruntime"
            package.mkdir(parents=True)
            (package / "__init__.py").write_text("import os; os.abort()")
            monkeypatch.syspath_prepend(str(package.parent))
            world.repository._loading = replace(loading, selftest=True)
        (tmp_path / "2").rename(folder / "2")
        event = await world.until("refused", 2)
        assert await world.ask() == 1
        assert world.repository.ready
        await asyncio.sleep(6 * POLL)
        assert len([e for e in world.events if e["event"] == "refused"]) == 1
        assert world.states() == {2: "END", 1: "AVAILABLE"}
        state = world.repository.status("m", 2)[0]
        assert state.error
        assert str(tmp_path) not in state.error
        assert event["error"].splitlines()[0]
        with pytest.raises(UnavailableError, match="version 2 was refused: "):
            world.repository.find("m", version=2)
        if kind == "crash":
            monkeypatch.undo()
        if kind == "two files":
            (folder / "2" / "n.edge").unlink()
        else:
            shutil.copy(put(other, 2), folder / "2" / "new")
            (folder / "2" / "new").rename(target)  # repaired
        await world.until("loaded", 2)
        assert await world.ask() == 2

    played(play, folder, loading)


def test_a_crash_is_told_with_its_signal(folder, loading, tmp_path, monkeypatch):
    monkeypatch.setattr(repository_module, "open_version", _raise)
    with pytest.raises(Exception, match="cannot be loaded: out of luck"):
        run(World(folder, loading).repository.start())


def _raise(*_):
    raise ValueError("out of luck")


def test_a_folder_that_is_still_copied_is_left_alone(folder, loading, tmp_path):
    async def play(world):
        content = put(tmp_path / "elsewhere", 2).read_bytes()
        target = folder / "2" / "m.edge"
        target.parent.mkdir()
        await asyncio.sleep(3 * POLL)
        with target.open("wb") as file:
            for start in range(0, len(content), len(content) // 40 + 1):
                file.write(content[start : start + len(content) // 40 + 1])
                file.flush()
                await asyncio.sleep(POLL / 4)
        await world.until("loaded", 2)
        assert not [e for e in world.events if e["event"] == "refused"]
        assert await world.ask() == 2

    played(play, folder, loading)


def test_clients_learn_no_paths(folder, loading):
    async def play(world):
        loading.keys.unlink()
        put(folder, 2)
        event = await world.until("refused", 2)
        assert str(loading.keys) in event["error"]  # for the log
        error = world.repository.status("m", 2)[0].error
        assert error.startswith("m version 2: keys.json: ")
        assert "/" not in error

    played(play, folder, loading)


def test_the_same_number_with_another_content(folder, loading):
    async def play(world):
        put(folder, 1, 5.0)
        await world.until("unloaded", 1)
        assert await world.ask() == 5
        put(folder, 1, 6.0, golden=99)
        await world.until("refused", 1)
        assert await world.ask() == 5
        state = world.repository.status("m")[0]
        assert state.state == "AVAILABLE"
        assert "wrong answer" in state.error

    played(play, folder, loading)


def test_a_single_file_is_watched_too(tmp_path, loading):
    path = bundle(tmp_path / "m.edge", 2.0)

    async def play(world):
        bundle(path, 3.0)
        await world.until("unloaded", 1)
        assert await world.ask() == 3
        path.unlink()
        async with asyncio.timeout(5):
            while not any(e["event"] == "unreadable" for e in world.events):
                await asyncio.sleep(POLL)
        await asyncio.sleep(3 * POLL)
        assert len([e for e in world.events if e["event"] == "unreadable"]) == 1
        assert await world.ask() == 3

    played(play, path, loading)


def test_files_without_a_bundle(tmp_path):
    (tmp_path / "models" / "1").mkdir(parents=True)
    double_onnx(tmp_path / "models" / "1" / "m.onnx", factor=4.0)

    async def play(world):
        assert await world.ask() == 4

    played(play, tmp_path / "models", Loading(allow_unverified=True))


# ---------------------------------------------------------------------------------------- deletion


def test_deleting_the_newest_goes_back(folder, loading):
    put(folder, 2)

    async def play(world):
        (folder / "2.edge").unlink()
        await world.until("unloaded", 2)
        assert await world.ask() == 1
        assert world.events[-2]["event"] == "loaded"  # before the other went
        (folder / "1.edge").unlink()
        await asyncio.sleep(5 * POLL)
        assert await world.ask() == 1  # the last good one stays
        put(folder, 3, golden=99)
        await world.until("refused", 3)
        assert await world.ask() == 1
        put(folder, 4)
        await world.until("unloaded", 1)
        assert await world.ask() == 4

    played(play, folder, loading)


def test_keep_some_versions(folder, loading):
    async def play(world):
        for number in (2, 3):
            put(folder, number)
            await world.until("loaded", number)
        await world.until("unloaded", 1)
        assert [each.version.number for each in world.repository.served()] == [3, 2]
        assert await world.ask(version=2) == 2
        with pytest.raises(UnavailableError, match="1 is served no longer; available: 3, 2"):
            world.repository.find("m", version=1)

    played(play, folder, loading, keep=2)


# ------------------------------------------------------------------------------------------ labels


def labels(folder, **values):
    (folder / "labels.new").write_text(json.dumps(values))
    (folder / "labels.new").rename(folder / "labels.json")


def test_labelled_versions_stay_beside_the_newest(folder, loading):
    put(folder, 2)
    labels(folder, stable=1, canary=2)

    async def play(world):
        assert await world.ask(label="stable") == 1
        assert await world.ask(label="canary") == 2
        put(folder, 3)
        await world.until("loaded", 3)
        assert await world.ask() == 3
        assert await world.ask(label="stable") == 1
        labels(folder, stable=2, canary=9)
        await world.until("unloaded", 1)
        assert await world.ask(label="stable") == 2
        with pytest.raises(UnavailableError, match="label canary: version 9 is not there"):
            world.repository.find("m", label="canary")
        with pytest.raises(UnknownError, match="no label 'x'; it has canary, stable"):
            world.repository.find("m", label="x")
        (folder / "labels.json").write_text("{")
        async with asyncio.timeout(5):
            while not any(e["event"] == "unreadable" for e in world.events):
                await asyncio.sleep(POLL)
        assert await world.ask(label="stable") == 2  # as before

    played(play, folder, loading)


def test_a_labelled_version_is_loaded_when_it_is_labelled(folder, loading):
    put(folder, 2)

    async def play(world):
        with pytest.raises(UnavailableError):
            world.repository.find("m", version=1)
        labels(folder, old=1)
        await world.until("loaded", 1)
        assert await world.ask(label="old") == 1
        assert await world.ask() == 2

    played(play, folder, loading)


# --------------------------------------------------------------------------------- stop and memory


def test_stopping_answers_what_waits(folder, loading, monkeypatch):
    monkeypatch.setattr("toolkit.serve.opening._INLINE_SECONDS", 0.0)

    async def play():
        world = World(folder, loading)
        await world.repository.start()
        asked = [asyncio.create_task(world.ask()) for _ in range(20)]
        await asyncio.sleep(0)
        await world.repository.stop(5)
        assert await asyncio.gather(*asked) == [1.0] * 20
        assert not world.repository.ready
        with pytest.raises(UnavailableError):
            world.repository.find("m")

    run(play())


def test_fifty_swaps_keep_the_memory_flat(folder, loading):
    async def play(world):
        process, sizes = psutil.Process(), []
        for number in range(2, 62):
            put(folder, number)
            await world.until("loaded", number)
            await world.until("unloaded", number - 1)
            (folder / f"{number - 1}.edge").unlink()
            world.events.clear()
            sizes.append(process.memory_info().rss)
        assert len(world.repository.status("m")) < 25
        assert sizes[-1] - sizes[9] < 8 << 20, [size >> 10 for size in sizes]

    played(play, folder, loading)


def test_a_loop_that_is_stopped_while_a_version_hangs_ends(folder, loading, monkeypatch):
    import time

    real = repository_module.open_version
    seconds = [0]

    def slow(*arguments):
        time.sleep(seconds[0])
        return real(*arguments)

    monkeypatch.setattr(repository_module, "open_version", slow)

    async def play(world):
        seconds[0] = 20
        put(folder, 2)
        async with asyncio.timeout(5):
            while world.states().get(2) != "LOADING":
                await asyncio.sleep(POLL)
        with pytest.raises(UnavailableError, match="version 2 is being loaded; available: 1"):
            world.repository.find("m", version=2)
        assert await world.ask() == 1

    begun = time.monotonic()
    played(play, folder, loading)
    assert time.monotonic() - begun < 10
