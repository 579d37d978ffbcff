"""What a person sees of a training, on a terminal and in a log."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from toolkit.progress import Bars, Display, Lines, Pace, display, duration

# Two frameworks; PyTorch loses a worker after its last step and goes back.
SCRIPT = """
import sys, time
from types import SimpleNamespace as Report
from toolkit.console import Screen

def report(step, loss, speed):
    return Report(
        step=step, steps=3000, epochs=100, loss=loss, samples_per_second=speed, scores={}
    )

def pause():
    time.sleep(0 if "fast" in sys.argv else 0.25)

screen = Screen(quiet="quiet" in sys.argv)
screen.event("tf", "before the training")
try:
    with screen.training(("tf", "torch")):
        pause()
        screen.watch("tf", report(2, 0.5, 12300.4))
        pause()
        screen.watch("tf", report(3, 1.23456e-05, 123456))
        screen.watch("torch", report(3000, 0.25, 850))
        pause()
        died = "worker 1 of 2 died [oom]; going on from step 120"
        screen.event("torch", died, "restarting (2 of 3)")
        pause()
        screen.watch("torch", report(150, 0.125, 8.54))
        pause()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    screen.watch("tf", report(4, 1.0, 1.0))
    screen.say("over")
"""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE")
}


@dataclass(frozen=True)
class Report:
    step: int
    steps: int = 3000
    epochs: int = 20
    loss: float = 0.41234
    samples_per_second: float = 12300.4
    scores: Mapping[str, float] = field(default_factory=dict)


class Time:
    """A clock that a test turns."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def after(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def log():
    return Console(file=io.StringIO(), soft_wrap=True, highlight=False)


def printed(console):
    return console.file.getvalue().splitlines()


@pytest.fixture(scope="module")
def on_terminal():
    """Run SCRIPT on a terminal of some width; return the lines that were drawn, without colours."""

    def run(width, *arguments, terminal="xterm-256color"):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            stdout=theirs,
            stderr=theirs,
            env=ENVIRONMENT | {"TERM": terminal},
        )
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 65536):
                output += chunk
        except OSError:  # how a terminal says that its last user is gone
            pass
        os.close(ours)
        assert process.wait(30) == 0, output.decode()
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
        return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]

    return run


@pytest.fixture(scope="module")
def wide(on_terminal):
    return on_terminal(80)


def test_a_bar_has_epoch_loss_speed_and_time_left_on_one_line(wide):
    tf = [line[2:] for line in wide if line[2:].startswith("TensorFlow ")]
    assert "TensorFlow ━━━━━━━━ starting" in tf
    assert "TensorFlow ━━━━━━━━ epoch 1/100  loss 0.5  12,300 samples/s" in tf
    left = [line for line in tf if line.endswith(" left")]
    assert left
    figures = r"epoch 1/100  loss 1\.235e-05  123k samples/s  \d+ min( \d+ s)? left"
    assert all(re.fullmatch(rf"TensorFlow ━{{4,8}} {figures}", line) for line in left), left
    assert max(len(line) for line in wide if "PyTorch:" not in line) <= 80


def test_a_bar_goes_back_and_keeps_turning_after_a_restart(wide):
    torch = [line for line in wide if line[2:].startswith("PyTorch ")]
    assert any(line.endswith("epoch 100/100  loss 0.25  850 samples/s") for line in torch)
    assert any(line.endswith(" restarting (2 of 3)") for line in torch)
    back = [line for line in torch if "epoch 5/100  loss 0.125  8.5 samples/s" in line]
    assert back
    assert not any("left" in line for line in back)  # the speed is not known again yet
    assert all(line[0] != " " for line in torch)  # a spinner in front


def test_an_event_is_a_line_of_its_own_as_it_was_said(wide):
    assert wide[0] == "TensorFlow: before the training"
    assert "PyTorch: worker 1 of 2 died [oom]; going on from step 120" in wide


def test_nothing_is_drawn_after_the_training(wide):
    assert wide[-1] == "over"


def test_a_narrow_terminal_still_gets_one_line_a_framework(on_terminal):
    lines = on_terminal(50)
    assert max(len(line) for line in lines if "PyTorch:" not in line) <= 50
    assert any("epoch 1/100  loss 0.5" in line for line in lines)


def test_quiet_prints_nothing(on_terminal):
    assert on_terminal(80, "quiet", "fast") == []


@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}])
def test_a_log_gets_lines_and_no_control_characters(forced):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "fast"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | forced,
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "TensorFlow: before the training",
        "PyTorch: worker 1 of 2 died [oom]; going on from step 120",
        "over",
    ]


def test_a_dumb_terminal_is_a_log(on_terminal):
    assert on_terminal(80, "fast", terminal="dumb")[-2:] == [
        "PyTorch: worker 1 of 2 died [oom]; going on from step 120",
        "over",
    ]


def test_a_log_line_says_everything_but_at_most_every_ten_seconds(log, clock):
    lines = Lines(log, ("tf", "torch"), now=clock)
    for second in range(1, 26):
        clock.after(1)
        lines.watch("tf", Report(step=18 * second))
    assert printed(log) == [
        "TensorFlow  epoch 2/20  step 180/3000  loss 0.4123  12,300 samples/s  2 min 37 s left",
        "TensorFlow  epoch 3/20  step 360/3000  loss 0.4123  12,300 samples/s  2 min 27 s left",
    ]
    lines.watch("torch", Report(step=3000))
    assert printed(log)[2:] == [
        "PyTorch  epoch 20/20  step 3000/3000  loss 0.4123  12,300 samples/s"
    ]


def test_a_log_can_have_more_lines(log, clock):
    lines = Lines(log, ("tf",), every=2.0, now=clock)
    for second in range(1, 8):
        clock.after(1)
        lines.watch("tf", Report(step=second))
    assert len(printed(log)) == 3


def test_a_state_takes_the_place_of_figures_until_the_next_report():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Bars(console, ("torch",)) as bars:
        bars.watch("torch", Report(step=450))
        bars.state("torch", "restarting [1 of 3]")
        assert shown(bars) == (450, "restarting [1 of 3]")
        bars.watch("torch", Report(step=300))
        assert shown(bars) == (300, "epoch 2/20  loss 0.4123  12,300 samples/s")


def shown(bars):
    (task,) = bars._bars.tasks
    return task.completed, task.fields["status"]


@pytest.mark.parametrize(
    ("step", "epoch"), [(1, 1), (149, 1), (150, 1), (151, 2), (450, 3), (2999, 20), (3000, 20)]
)
def test_the_epoch_is_that_of_the_latest_step(log, clock, step, epoch):
    Lines(log, ("tf",), every=0.0, now=clock).watch("tf", Report(step=step))
    assert f"  epoch {epoch}/20  step {step}/3000  " in printed(log)[0]


def test_the_display_fits_the_console(log):
    assert type(display(Console(quiet=True), ("tf",))) is Display
    assert isinstance(display(log, ("tf",)), Lines)


class TestPace:
    def test_is_unknown_until_two_steps_were_seen(self, clock):
        pace = Pace(clock)
        assert pace.left(Report(step=10)) is None
        clock.after(1)
        assert pace.left(Report(step=10)) is None
        clock.after(1)
        assert pace.left(Report(step=20)) == pytest.approx(2980 / 5)

    def test_follows_the_last_minute(self, clock):
        pace, step = Pace(clock), 0
        for speed in (10, 1):
            for _ in range(100):
                clock.after(1)
                step += speed
                left = pace.left(Report(step=step))
        assert left == pytest.approx(3000 - step)

    def test_reports_may_be_minutes_apart(self, clock):
        pace = Pace(clock)
        for step in (1, 2, 3):
            clock.after(300)
            left = pace.left(Report(step=step, steps=10))
        assert left == pytest.approx(7 * 300)

    def test_starts_anew_when_steps_are_rolled_back(self, clock):
        pace = Pace(clock)
        for step in (100, 200):
            clock.after(1)
            pace.left(Report(step=step))
        clock.after(30)
        assert pace.left(Report(step=150)) is None
        clock.after(1)
        assert pace.left(Report(step=250)) == pytest.approx(27.5)

    def test_the_pause_of_a_restart_does_not_count_even_where_no_step_was_lost(self, clock):
        lines = Lines(Console(file=io.StringIO(), soft_wrap=True), ("tf",), every=0.0, now=clock)
        for step in (100, 200):
            clock.after(1)
            lines.watch("tf", Report(step=step))
        lines.state("tf", "restarting")
        clock.after(30)
        lines.watch("tf", Report(step=200))
        clock.after(1)
        lines.watch("tf", Report(step=300))
        assert printed(lines._console)[-1].endswith("samples/s  27 s left")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (40, "40 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (3599.7, "1 h"),
        (3900, "1 h 5 min"),
        (86400 + 3 * 3600 + 1800, "1 d 3 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
