import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as scipy_signal

from edge import steps
from edge.errors import InputError
from edge.steps_signal import mel_bank

WINDOW = {"step": "window", "length": 400, "hop": 160}


@pytest.mark.parametrize("function", ["hann", "hamming", "none"])
def test_spectra_are_those_of_tensorflow(data, function):
    golden = np.load(data / "steps_tf.npz")
    chain = [{**WINDOW, "function": function}, {"step": "fft", "size": 512}]
    made = steps.apply(chain, golden["signal"])
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, golden[f"stft.{function}"], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("function", ["hann", "hamming"])
@pytest.mark.parametrize("centre", [False, True])
def test_spectra_are_those_of_torch(data, function, centre):
    golden = np.load(data / "steps_torch.npz")
    window = {"step": "window", "length": 512, "hop": 160, "function": function, "centre": centre}
    made = steps.apply([window, {"step": "fft", "size": 512}], golden["signal"])
    np.testing.assert_allclose(made, golden[f"stft.{function}.{centre}"], rtol=1e-4, atol=2e-5)


def test_frames_without_a_window_are_the_signal_itself(data):
    golden = np.load(data / "steps_tf.npz")
    np.testing.assert_array_equal(steps.apply([WINDOW], golden["signal"]), golden["framed"])


@given(st.integers(1, 64), st.sampled_from(["hann", "hamming"]))
def test_windows_are_those_of_scipy(length, function):
    window = {"step": "window", "length": length, "hop": 1, "function": function}
    made = steps.apply([window], np.ones((1, length)))[0, 0]
    if length > 1:  # scipy makes an exception of 1
        expected = scipy_signal.get_window(function, length)
        np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-7)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_every_frame_begins_a_hop_later_and_ends_inside(count, length, hop, centre):
    signal = np.arange(1.0, count + 1)
    padded = np.pad(signal, length // 2) if centre else signal
    step = {"step": "window", "length": length, "hop": hop, "centre": centre}
    starts = range(0, len(padded) - length + 1, hop)
    if not starts:
        with pytest.raises(InputError, match=f"less than a frame of {length}"):
            steps.apply([step], signal[None])
    else:
        expected = [padded[start : start + length].tolist() for start in starts]
        assert steps.apply([step], signal[None])[0].tolist() == expected


def test_power_is_the_square_of_the_magnitude(data):
    frames = np.load(data / "steps_tf.npz")["framed"]
    power = steps.apply([{"step": "fft", "size": 512, "power": 2}], frames)
    spectrum = np.fft.rfft(frames.astype(np.float64), 512)
    np.testing.assert_allclose(power, np.abs(spectrum) ** 2, rtol=1e-6)


def test_the_mel_bank_is_that_of_librosa():
    """The numbers are in the documentation of mel_filter, a port that is tested against librosa."""
    bank = mel_bank({"step": "mel", "rate": 22050, "bands": 128}, 1025).T
    first = [0, 0.016182853208219942, 0.032365706416439884]
    np.testing.assert_allclose(
        bank[0, :6], [*first, 0.028990088037379964, 0.012807234829160026, 0], rtol=1e-12
    )
    second = [0.009779235793639925, 0.025962089001859864, 0.035393705451959974]
    np.testing.assert_allclose(
        bank[1, :9], [0, 0, 0, *second, 0.01921085224374004, 0.003027999035520103, 0], rtol=1e-12
    )
    assert bank.shape == (128, 1025)


def test_the_htk_bank_peaks_where_htk_puts_its_bands():
    """torchaudio's default: triangles of height 1, bands even in 2595 log10(1 + f / 700)."""
    step = {"step": "mel", "rate": 16000, "bands": 10, "scale": "htk", "norm": "none"}
    step |= {"low": 300, "high": 8000}
    bank = mel_bank(step, 8001)  # a bin a hertz
    low, high = (2595 * np.log10(1 + f / 700) for f in (300, 8000))
    edges = 700 * (10 ** (np.linspace(low, high, 12) / 2595) - 1)
    np.testing.assert_allclose(bank.argmax(axis=0), edges[1:-1], atol=0.51)
    assert np.all(bank.max(axis=0) > 0.99)
    assert np.all(bank.max(axis=0) <= 1)
    hertz = np.arange(8001)
    for band in range(10):
        expected = np.interp(hertz, edges[band : band + 3], [0, 1, 0])
        np.testing.assert_allclose(bank[:, band], expected, atol=1e-9)


def test_log_mel_from_a_signal(data):
    signal = np.load(data / "steps_tf.npz")["signal"]
    mel = {"step": "mel", "rate": 16000, "bands": 40}
    chain = [
        {**WINDOW, "function": "hann"},
        {"step": "fft", "size": 512, "power": 2},
        mel,
        {"step": "log", "floor": 1e-10, "base": "10"},
    ]
    made = steps.apply(chain, signal)
    assert (made.shape, made.dtype) == ((2, 4, 40), np.float32)
    taper = scipy_signal.get_window("hann", 400)
    frames = np.stack([signal[:, i : i + 400] * taper for i in range(0, 601, 160)], 1)
    expected = np.abs(np.fft.rfft(frames, 512)) ** 2 @ mel_bank(mel, 257)
    np.testing.assert_allclose(made, np.log10(np.maximum(expected, 1e-10)), atol=1e-5)


def test_the_bank_is_made_once(data, monkeypatch):
    made = []
    monkeypatch.setattr(
        "edge.steps_signal.mel_bank", lambda step, bins: made.append(bins) or mel_bank(step, bins)
    )
    run = steps.compile([{"step": "mel", "rate": 16000, "bands": 4}])
    for _ in range(3):
        run(np.ones((1, 3, 257)))
    assert made == [257]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({**WINDOW, "length": 0}, "length is 0, not a whole number from 1 to 65536"),
        ({**WINDOW, "hop": 1 << 25}, "hop is 33554432"),
        ({**WINDOW, "hop": None}, "hop is None"),
        ({**WINDOW, "function": "kaiser"}, "function 'kaiser' is not one of none, hann, hamming"),
        ({**WINDOW, "centre": 1}, "centre is 1, not true or false"),
        ({"step": "fft", "size": 511}, "size must be even"),
        ({"step": "fft", "size": 1 << 30}, "size is 1073741824"),
        ({"step": "fft", "size": 512, "power": 3}, "power is 3, not a whole number from 1 to 2"),
        ({"step": "mel", "rate": 0, "bands": 4}, "rate is 0; it must be above 0"),
        ({"step": "mel", "rate": 16000, "bands": 10**6}, "bands is 1000000"),
        ({"step": "mel", "rate": 16000, "bands": 4, "high": 9000}, "low 0 < high 9000 <= rate / 2"),
        ({"step": "mel", "rate": 16000, "bands": 4, "low": -1}, "0 <= low -1 < high 8000"),
        ({"step": "mel", "rate": 16000, "bands": 4, "scale": "bark"}, "scale 'bark' is not one of"),
        ({"step": "log", "floor": 0}, "floor is 0; it must be above 0"),
        ({"step": "log", "floor": 1, "base": 10}, "base 10 is not one of e, 2, 10"),
    ],
)
def test_a_wrong_field_is_named(step, words):
    with pytest.raises(InputError) as caught:
        steps.check([step])
    assert f"step 0 ({step['step']}): " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("step", "shape", "words"),
    [
        (WINDOW, (2, 399), "399 values are less than a frame of 400; pad first"),
        (WINDOW, (2,), "less than a frame"),
        ({**WINDOW, "hop": 1}, (1, 50000), "19840400 values, over the limit"),
        ({"step": "fft", "size": 8}, (1, 9), "more values than the transform's size of 8"),
        ({"step": "mel", "rate": 16000, "bands": 4}, (1, 1), "two bins"),
        ({"step": "mel", "rate": 16000, "bands": 1024}, (1, 8193), "over the limit of 4194304"),
    ],
)
def test_what_does_not_fit_states_why(step, shape, words):
    with pytest.raises(InputError) as caught:
        steps.apply([step], np.zeros(shape, np.float32))
    assert words in str(caught.value)
