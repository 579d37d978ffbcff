"""Memory of versions that have gone is given back, once after several."""

import asyncio
import subprocess
import sys

import pytest

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
        kept.freed()
        await asyncio.sleep(0.01)
        kept.freed()  # too late for the trim to come to give all of it back
        await asyncio.sleep(0.2)
        assert len(calls) == 4

    asyncio.run(play())


def test_does_without_where_the_c_library_cannot(monkeypatch):
    monkeypatch.setattr(memory, "_trimmer", lambda: None)
    memory.Memory().freed()


def test_the_real_one_runs():
    trim = memory._trimmer()
    assert trim is None or trim() in (0, 1)


LARGE = """
import sys
import numpy as np
import psutil
from toolkit.serve.memory import Memory

size = 17 << 20
memory = Memory() if sys.argv[1] == "set" else None
np.ones(size, np.uint8)  # given back: from now on glibc takes blocks of this size from an arena
block = np.ones(size, np.uint8)
above = bytes(100_000)  # what is freed below it stays
before = psutil.Process().memory_info().rss
del block
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.parametrize("way", ["set", "unset"])
@pytest.mark.skipif(memory._trimmer() is None, reason="for glibc")
def test_what_a_model_took_is_given_back_at_once(way):
    command = [sys.executable, "-c", LARGE, way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (int(done.stdout) > 16 << 20) == (way == "set")
