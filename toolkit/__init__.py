"""Train a Keras or PyTorch model data-parallel on Ray, export it, prove it, ship it.

What a recipe needs can be imported from here. Importing this package loads no framework.
"""

from toolkit.recipe import SGD, Adam, Cosine, Data, PerFramework, Probe, Recipe, Split

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Cosine",
    "Data",
    "PerFramework",
    "Probe",
    "Recipe",
    "Split",
    "__version__",
]
