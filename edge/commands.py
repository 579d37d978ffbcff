"""Every command and its options, as data: `--help` and wrong options need nothing else."""

from __future__ import annotations

from edge.cli import DEBUG, Command, Option

FORMS = (
    "a number, JSON such as [1,2], a .npy, .json, .csv, .txt or .wav file, an image, "
    "or - for standard input"
)


def count(text: str) -> int:
    """A whole number from 1 on; raises ValueError."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds above 0; raises ValueError."""
    return _above_zero(text, "seconds")


def milliseconds(text: str) -> float:
    """A number of milliseconds above 0; raises ValueError."""
    return _above_zero(text, "milliseconds")


def port(text: str) -> int:
    """A TCP port, 0 for any free one; raises ValueError."""
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _above_zero(text: str, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{text!r} is not a number of {unit} above 0")
    return number


_JSON = Option("--json", "print one JSON object")
_TRUST = (
    Option("--keys", "the trusted keys; else $EDGE_KEYS or ~/.config/edge/keys.json", "FILE"),
    Option("--allow-unsigned", "take a bundle that nobody signed: damage is found, forgery is not"),
)
_CHOICE = (
    Option("--model", "the model to take from a bundle, by its member's name", "NAME"),
    Option("--precision", "take the first model of this precision", "NAME"),
)
_THREADS = Option("--threads", "of the runtime (default 1)", "N", count, 1)
_OPEN = (_THREADS, *_CHOICE, *_TRUST)
_INPUT = (
    Option(
        "--input",
        f"{FORMS}; once for each input, with its name if there are several",
        "[NAME=]VALUE",
        many=True,
    ),
    Option("--no-preprocess", "the input is preprocessed already"),
)
_MODEL = ("MODEL", "path", "a .tflite, .onnx or .edge file")
_BUNDLE = ("BUNDLE", "path", "an .edge file")

RUN = Command(
    "run",
    "Ask a model for its answer: a line a sample.",
    "edge.run:run",
    (_MODEL,),
    (
        *_INPUT,
        _JSON,
        Option("--bench", "measure latency, as the command bench", "SECONDS", seconds, const=2.0),
        *_OPEN,
        DEBUG,
    ),
    ("VALUE", "samples for a model of one input, instead of --input"),
)

BENCH = Command(
    "bench",
    "Measure how long one run takes, on zeros if there is no --input.",
    "edge.run:bench",
    (_MODEL,),
    (
        *_INPUT,
        _JSON,
        Option("--seconds", "measure for this long at most (default 2)", "SECONDS", seconds, 2.0),
        *_OPEN,
        DEBUG,
    ),
)

SELFTEST = Command(
    "selftest",
    "Replay the bundle's golden vectors here, in a child process with limits.",
    "edge.selftest:selftest",
    (_BUNDLE,),
    (
        _JSON,
        Option("--budget-ms", "fail if 90 % of the runs take longer", "MS", milliseconds),
        Option("--timeout", "of each model (default 60)", "SECONDS", seconds, 60.0),
        Option("--memory-mb", "that a model may use (default: what is available)", "MB", count),
        *_OPEN,
        DEBUG,
    ),
)

INFO = Command(
    "info",
    "Tell what a bundle holds, who signed it, and what this device has.",
    "edge.info:info",
    (),
    (_JSON, *_TRUST, DEBUG),
    ("BUNDLE", "an .edge file; without it only the device"),
)

SERVE = Command(
    "serve",
    "Answer over HTTP: POST /predict, GET /health, GET /info.",
    "edge.serve:serve",
    (_MODEL,),
    (
        Option("--host", "address to listen on; others than loopback need a token", "ADDRESS",
               default="127.0.0.1"),
        Option("--port", "0 for any free one (default 8080)", "PORT", port, 8080),
        Option("--token", "that clients must send; better in the environment: EDGE_TOKEN", "TOKEN"),
        Option("--workers", "copies of the model that run at once (default 1)", "N", count, 1),
        Option("--waiting", "requests that may wait; more get 429 (default 16)", "N", count, 16),
        Option("--max-body-kb", "size of a request (default 16384)", "KB", count, 16384),
        Option("--timeout", "of a request, its wait included (default 30)", "SECONDS", seconds,
               30.0),
        *_OPEN,
        DEBUG,
    ),
)  # fmt: skip

WATCH = Command(
    "watch",
    "Answer files as they appear in a folder, or lines of standard input: one JSON line each.",
    "edge.watch:watch",
    (_MODEL, ("SOURCE", "source", "a folder, or - for standard input")),
    (
        Option("--once", "end when the files that are there are answered"),
        Option("--poll", "between two looks at the folder (default 0.5)", "SECONDS", seconds, 0.5),
        Option("--hop", "lines are samples of one stream: answer about the last window, and again "
               "after so many samples", "N", count),
        Option("--window", "samples of a window, where the model takes any number", "N", count),
        Option("--average", "decide by the mean of so many answers in a row", "N", count),
        Option("--no-preprocess", "the input is preprocessed already"),
        *_OPEN,
        DEBUG,
    ),
)  # fmt: skip

COMMANDS = {each.name: each for each in (RUN, SELFTEST, BENCH, INFO, SERVE, WATCH)}
