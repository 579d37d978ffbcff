"""Steps about signals, along the last axis: window (frames), fft (magnitudes), mel (bands).

FFT and sums are done in float64 and rounded once to float32: numpy 1 and 2 and the BLAS of each CPU
differ in float32. Frames are as in tf.signal.stft and torch.stft(center=False): no frame begins
unless it ends inside. The mel bank is librosa's with scale and norm `slaney`, its defaults, and
torchaudio's with `htk` and `none`, its defaults.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from edge.steps_fields import (
    MAX_SIZE,
    Family,
    Run,
    Step,
    bounded,
    choice,
    first,
    flag,
    number,
    whole,
)

FUNCTIONS = {"none": (1.0, 0.0), "hann": (0.5, 0.5), "hamming": (0.54, 0.46)}
"""Name -> a and b of the periodic window a - b cos(2 pi k / length)."""

SCALES = ("slaney", "htk")
NORMS = ("slaney", "none")
MAX_FRAME = 1 << 16
_MAX_BANK = 1 << 22
_MAX_BANDS = 1024


def _window_problem(step: Step) -> str:
    return first(
        whole(step, "length", 1, MAX_FRAME),
        whole(step, "hop", 1, MAX_SIZE),
        choice(step, "function", tuple(FUNCTIONS)),
        flag(step, "centre"),
    )


def _fft_problem(step: Step) -> str:
    problem = first(whole(step, "size", 2, MAX_FRAME), whole(step, "power", 1, 2))
    return problem or ("size must be even" if step["size"] % 2 else "")


def _mel_problem(step: Step) -> str:
    problem = first(
        number(step, "rate", 0),
        whole(step, "bands", 1, _MAX_BANDS),
        number(step, "low"),
        number(step, "high", 0),
        choice(step, "scale", SCALES),
        choice(step, "norm", NORMS),
    )
    if problem:
        return problem
    low, high = _band_limits(step)
    good = 0 <= low < high <= step["rate"] / 2
    return "" if good else f"0 <= low {low:g} < high {high:g} <= rate / 2 does not hold"


def _band_limits(step: Step) -> tuple[float, float]:
    return float(step.get("low", 0.0)), float(step.get("high", step["rate"] / 2))


def _window(step: Step) -> Run:
    """Frames [..., t] -> [..., frames, length]; with `centre`, zeros go around the signal first."""
    length, hop, name = step["length"], step["hop"], step.get("function", "none")
    level, swing = FUNCTIONS[name]
    angle = 2 * math.pi / length * np.arange(length)
    taper = (level - swing * np.cos(angle)).astype(np.float32)
    margin = length // 2 if step.get("centre", False) else 0

    def run(batch: np.ndarray) -> np.ndarray:
        count = batch.shape[-1] + 2 * margin if batch.ndim > 1 else 0
        if count < length:
            raise ValueError(f"{count} values are less than a frame of {length}; pad first")
        bounded((*batch.shape[1:-1], 1 + (count - length) // hop, length))
        if margin:
            batch = np.pad(batch, [(0, 0)] * (batch.ndim - 1) + [(margin, margin)])
        frames = np.lib.stride_tricks.sliding_window_view(batch, length, axis=-1)
        framed: np.ndarray = np.multiply(frames[..., ::hop, :], taper, dtype=np.float32)
        return framed

    return run


def _fft(step: Step) -> Run:
    """Magnitudes [..., length] -> [..., size / 2 + 1]; shorter frames get zeros behind."""
    size, power = step["size"], step.get("power", 1)

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.ndim < 2 or batch.shape[-1] > size:
            raise ValueError(f"more values than the transform's size of {size}")
        bounded((*batch.shape[1:-1], size))
        found = np.fft.rfft(batch.astype(np.float64, copy=False), n=size, axis=-1)
        squares = np.square(found.real)
        squares += np.square(found.imag)
        if power == 1:
            np.sqrt(squares, out=squares)
        return squares.astype(np.float32)

    return run


def _mel(step: Step) -> Run:
    """Weighted sums of the bins [..., bins] -> [..., bands]; the bank is made once."""
    bands = step["bands"]
    bank = functools.lru_cache(maxsize=2)(functools.partial(mel_bank, step))

    def run(batch: np.ndarray) -> np.ndarray:
        bins = batch.shape[-1] if batch.ndim > 1 else 0
        if bins < 2:
            raise ValueError("a spectrum of two bins or more is needed")
        bounded((bins, bands), _MAX_BANK)
        summed: np.ndarray = np.matmul(batch, bank(bins)).astype(np.float32)
        return summed

    return run


def mel_bank(step: Step, bins: int) -> np.ndarray:
    """Triangles in hertz, float64 [bins, bands]; bin b stands for b / (bins - 1) * rate / 2."""
    to_mel, to_hertz = (_to_htk, _from_htk) if step.get("scale") == "htk" else (_to_mel, _from_mel)
    low, high = _band_limits(step)
    edges = to_hertz(np.linspace(to_mel(low), to_mel(high), step["bands"] + 2))
    hertz = np.linspace(0.0, step["rate"] / 2, bins)[:, np.newaxis]
    rising = (hertz - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hertz) / np.diff(edges)[1:]
    bank: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    if step.get("norm", "slaney") == "slaney":
        bank *= 2.0 / (edges[2:] - edges[:-2])
    return bank


def _to_htk(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _from_htk(mel: np.ndarray) -> np.ndarray:
    hertz: np.ndarray = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return hertz


_LOG_STEP = math.log(6.4) / 27  # of Slaney's scale, which is linear below 1000 Hz


def _to_mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / _LOG_STEP


def _from_mel(mel: np.ndarray) -> np.ndarray:
    above = 1000.0 * np.exp(_LOG_STEP * (np.maximum(mel, 15.0) - 15.0))
    return np.where(mel < 15, mel * (200.0 / 3), above)


FAMILY: Family = (
    {"window": _window_problem, "fft": _fft_problem, "mel": _mel_problem},
    {"window": _window, "fft": _fft, "mel": _mel},
)
