"""Train a Keras or PyTorch model data-parallel on Ray, export it, prove it, ship it.

What a recipe needs can be imported from here, and every stage as a function from `toolkit.api`.
Importing this package loads no framework.
"""

from toolkit.augment import Cutout, Flip, Shift
from toolkit.recipe import Recipe
from toolkit.sample_random import SampleRandom
from toolkit.specs import (
    SGD,
    Adam,
    Callback,
    Cosine,
    Data,
    EarlyStopping,
    Experience,
    Linear,
    PerFramework,
    Policy,
    Probe,
    Rollout,
    Schedule,
    Split,
    StepDecay,
    Stream,
)

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Callback",
    "Cosine",
    "Cutout",
    "Data",
    "EarlyStopping",
    "Experience",
    "Flip",
    "Linear",
    "PerFramework",
    "Policy",
    "Probe",
    "Recipe",
    "Rollout",
    "SampleRandom",
    "Schedule",
    "Shift",
    "Split",
    "StepDecay",
    "Stream",
    "__version__",
]
