"""Memory of versions that have gone is given back, once after several."""

import asyncio

from toolkit.serve import memory


def test_trims_once_after_several_events_and_again_later(monkeypatch):
    calls = []
    monkeypatch.setattr(memory, "_SECONDS", 0.02)
    monkeypatch.setattr(memory, "_trimmer", lambda: lambda: calls.append(1))

    async def play():
        kept = memory.Memory()
        for _ in range(3):
            kept.freed()
        await asyncio.sleep(0.2)
        assert len(calls) == 1
        kept.freed()
        await asyncio.sleep(0.2)
        assert len(calls) == 2

    asyncio.run(play())


def test_does_without_where_the_c_library_cannot(monkeypatch):
    monkeypatch.setattr(memory, "_trimmer", lambda: None)
    memory.Memory().freed()


def test_the_real_one_runs():
    trim = memory._trimmer()
    assert trim is None or trim() in (0, 1)
