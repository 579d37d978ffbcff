"""Child processes, real ones: whatever happens in one reaches the parent as a value or an error."""

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from toolkit.errors import ConversionError
from toolkit.hosts import ChildProcesses, HostError

# Functions must be importable in the child; `exec` runs any text there.
RAISE_TOOLKIT = """
from toolkit.errors import ConversionError
raise ConversionError("no such operator", detail="line 1")
"""
RAISE_UNPICKLABLE = """
class Local(Exception):
    def __init__(self, a, b):
        super().__init__("local")
        self.lock = __import__("threading").Lock()
raise Local(1, 2)
"""
PRINT = """
import os, sys
print("from python")
sys.stderr.write("to stderr\\n")
sys.stdout.flush()
os.write(1, b"from C\\n")
"""
BOOK = """
import time
book = open({!r}, "a", buffering=1)
book.write("+\\n")
time.sleep(0.1)
book.write("-\\n")
"""


@pytest.fixture(scope="module")
def children():
    with ChildProcesses(parallel=2, timeout=60) as children:
        yield children


@pytest.fixture
def run(children, tmp_path):
    """Run a function in a child and return its value."""
    return lambda function, *args: children.submit(function, *args, log=tmp_path / "log").result()


def test_a_value_comes_back_from_another_process(run):
    assert run(divmod, 17, 5) == (3, 2)
    assert run(os.getpid) != os.getpid()


def test_a_large_value_comes_back_whole(run):
    assert run(bytes, 20_000_000) == bytes(20_000_000)


def test_a_toolkit_error_keeps_its_class(run):
    with pytest.raises(ConversionError, match=r"^no such operator$") as caught:
        run(exec, RAISE_TOOLKIT, {})
    assert caught.value.detail == "line 1"


def test_any_other_exception_becomes_a_host_error_with_its_traceback(run):
    with pytest.raises(HostError, match=r"^ZeroDivisionError: division by zero$") as caught:
        run(exec, "def inner():\n    1 / 0\ninner()", {})
    assert "in inner" in caught.value.detail
    assert caught.value.detail.startswith("Traceback")


def test_an_exception_that_cannot_be_sent_is_reported_as_text(run):
    with pytest.raises(HostError, match=r"^Local: local$"):
        run(exec, RAISE_UNPICKLABLE, {})


def test_a_value_that_cannot_be_sent_is_reported(run):
    with pytest.raises(HostError) as caught:
        run(threading.Lock)
    assert "pickle" in str(caught.value) + caught.value.detail


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (ctypes.string_at, (0,), "killed by SIGSEGV"),
        (signal.raise_signal, (signal.SIGSEGV,), "killed by SIGSEGV"),
        (signal.raise_signal, (signal.SIGKILL,), "killed by SIGKILL"),
        (os.abort, (), "killed by SIGABRT"),
        (sys.exit, (3,), "ended with exit code 3"),
        (sys.exit, (0,), "ended with exit code 0"),
        (os._exit, (7,), "ended with exit code 7"),
    ],
)
def test_a_child_that_dies_is_reported(run, function, args, message):
    with pytest.raises(HostError, match=f"^{message}$"):
        run(function, *args)


def test_the_last_lines_before_a_death_are_kept(run):
    with pytest.raises(HostError, match="SIGKILL") as caught:
        run(
            exec,
            PRINT + "for n in range(20): print('step', n, flush=True)\nos.kill(os.getpid(), 9)",
            {},
        )
    assert caught.value.detail.splitlines() == [f"step {n}" for n in range(8, 20)]


def test_a_child_that_hangs_is_killed(tmp_path):
    place = tmp_path / "pid"
    code = f"import os, pathlib, time\npathlib.Path({str(place)!r}).write_text(str(os.getpid()))\n"
    with ChildProcesses(timeout=1.0) as children:
        future = children.submit(exec, code + "time.sleep(600)", {}, log=tmp_path / "log")
        with pytest.raises(HostError, match=r"^gave no answer within 1 s$"):
            future.result()
    if place.exists():  # a slow machine may have been stopped before
        assert not Path("/proc", place.read_text() or "none").exists()


def test_all_output_goes_to_the_log(children, tmp_path, capfd):
    log = tmp_path / "log"
    children.submit(exec, PRINT, {}, log=log).result()
    assert sorted(log.read_text().splitlines()) == ["from C", "from python", "to stderr"]
    children.submit(exec, "print('later')", {}, log=log).result()
    assert log.read_text().splitlines()[3:] == ["later"]
    assert capfd.readouterr() == ("", "")


def test_the_traceback_goes_to_the_log_too(children, tmp_path, capfd):
    future = children.submit(exec, "1 / 0", {}, log=tmp_path / "log")
    assert isinstance(future.exception(), HostError)
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()
    assert capfd.readouterr() == ("", "")


def test_leaving_the_context_kills_what_runs(tmp_path):
    started = tmp_path / "started"
    with ChildProcesses(parallel=1) as children:
        code = f"open({str(started)!r}, 'w').close()\nimport time; time.sleep(600)"
        running = children.submit(exec, code, {}, log=tmp_path / "log")
        queued = children.submit(divmod, 1, 1, log=tmp_path / "log")
        while not started.exists():
            time.sleep(0.01)
    assert isinstance(running.exception(), HostError)
    assert "SIGKILL" in str(running.exception())
    assert queued.cancelled()


def test_leaving_the_context_kills_what_is_starting_too(tmp_path, monkeypatch):
    starting, start = threading.Event(), BaseProcess.start

    def slow_start(process):
        starting.set()
        time.sleep(0.3)  # a loaded machine
        start(process)

    monkeypatch.setattr(BaseProcess, "start", slow_start)
    with ChildProcesses(parallel=1) as children:
        future = children.submit(time.sleep, 5, log=tmp_path / "log")
        starting.wait()
    assert isinstance(future.exception(), HostError)


def test_at_most_so_many_run_at_a_time(tmp_path):
    """Each child adds a line when it begins and when it ends: never three begun and not ended."""
    book = tmp_path / "book"
    code = BOOK.format(str(book))
    with ChildProcesses(parallel=2) as children:
        work = [children.submit(exec, code, {}, log=tmp_path / "log") for _ in range(5)]
        for future in work:
            future.result()
    running, most = 0, 0
    for line in book.read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most <= 2
    assert running == 0


def test_a_pipe_that_breaks_in_the_middle_of_an_answer_is_reported(tmp_path):
    """Out of memory while a large model is sent back."""
    import multiprocessing

    ours, theirs = multiprocessing.Pipe(duplex=False)
    os.write(theirs.fileno(), b"\0\0\1\0half")
    theirs.close()
    process = type("Dead", (), {"exitcode": -9, "join": lambda self: None})()
    with pytest.raises(HostError, match="killed by SIGKILL"):
        ChildProcesses()._receive(ours, process, tmp_path / "log")


def test_a_process_that_takes_too_much_memory_is_ended_and_says_so(tmp_path):
    hungry = "import time; hoard = bytearray(400_000_000); time.sleep(60)"
    with ChildProcesses(memory=200_000_000) as children:
        future = children.submit(exec, hungry, log=tmp_path / "log")
        with pytest.raises(HostError, match=r"took 0\.\d GB of memory, more than the 0\.2 GB"):
            future.result(timeout=30)
