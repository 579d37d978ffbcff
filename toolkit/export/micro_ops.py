"""Which operators TensorFlow Lite Micro has, and the method of its resolver that adds each one."""

from collections.abc import Mapping

from toolkit.errors import ConversionError

_BUILTIN = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM
    DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOG_SOFTMAX LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT
    SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
    UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""

_SPELLED_OTHERWISE = {
    "AVERAGE_POOL_2D": "AveragePool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "CUMSUM": "CumSum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "L2_POOL_2D": "L2Pool2D",
    "MAX_POOL_2D": "MaxPool2D",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}

_CUSTOM = {
    "CIRCULAR_BUFFER": "CircularBuffer",
    "SignalDelay": "Delay",
    "SignalEnergy": "Energy",
    "SignalFftAutoScale": "FftAutoScale",
    "SignalFilterBank": "FilterBank",
    "SignalFilterBankLog": "FilterBankLog",
    "SignalFilterBankSpectralSubtraction": "FilterBankSpectralSubtraction",
    "SignalFilterBankSquareRoot": "FilterBankSquareRoot",
    "SignalFramer": "Framer",
    "SignalIrfft": "Irfft",
    "SignalOverlapAdd": "OverlapAdd",
    "SignalPCAN": "PCAN",
    "SignalRfft": "Rfft",
    "SignalStacker": "Stacker",
    "SignalWindow": "Window",
    "TFLM_DECODE": "Decode",
    "TFLite_Detection_PostProcess": "DetectionPostprocess",
}

METHODS: Mapping[str, str] = {
    name: "Add" + _SPELLED_OTHERWISE.get(name, name.title().replace("_", ""))
    for name in _BUILTIN.split()
} | {name: f"Add{method}" for name, method in _CUSTOM.items()}
"""Operator, or code of a custom operator -> method of MicroMutableOpResolver."""

_KEPT_BETWEEN_CALLS = frozenset(("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"))

_INSTEAD = {
    "ATAN2": "compute the angle outside the model",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use two one-directional LSTM layers",
    "BIDIRECTIONAL_SEQUENCE_RNN": "use dense or convolution layers",
    "CONV_3D": "use 2-D convolutions over slices",
    "GELU": "use relu, or hard_swish, as the activation and train again",
    "LSTM": "use keras.layers.LSTM, which becomes UNIDIRECTIONAL_SEQUENCE_LSTM",
    "POW": "use multiplications, or square and sqrt",
    "REDUCE_PROD": "use multiplications",
    "RELU_N1_TO_1": "use relu6 or tanh as the activation and train again",
    "RNN": "use dense or convolution layers",
    "TILE": "use BROADCAST_TO (tf.broadcast_to) or a concatenation",
    "TOPK_V2": "take the best k of the outputs in the program that calls the model",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "use an LSTM layer or convolutions",
}
_OTHERWISE = "replace the layer that makes it, or compute that step outside the model"


def resolver_methods(operators: Mapping[str, str], version: str) -> list[str]:
    """The methods of MicroMutableOpResolver that add these operators, in alphabetical order.

    Args:
        operators: operator, or code of a custom one -> name of a tensor that it makes.
        version: of TensorFlow Lite Micro, for the message.

    Raises:
        ConversionError: names the operators that are not there, and what to do instead.
    """
    problems = [
        f"{name} (makes {tensor!r}): {_INSTEAD.get(name, _OTHERWISE)}"
        for name, tensor in sorted(operators.items())
        if name not in METHODS
    ]
    if problems:
        raise ConversionError(
            f"TensorFlow Lite Micro {version} lacks operators of the model\n" + "\n".join(problems)
        )
    if kept := sorted(_KEPT_BETWEEN_CALLS & operators.keys()):
        raise ConversionError(
            f"the model keeps variables from one prediction to the next ({', '.join(kept)}), for "
            "which no code is made\nmake the state an input and an output of the model"
        )
    return sorted(METHODS[name] for name in operators)
