"""A recipe's source text: found by name or path, shipped to workers, kept with the run.

The text, not the object, travels: workers on other machines and later exports run exactly what
was trained. A recipe is its author's own code and runs with their rights.
"""

import dataclasses
import hashlib
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import NotFoundError, RecipeError, UsageError, nearest
from toolkit.recipe import FRAMEWORKS, TITLES, Recipe

_BUILT_IN = Path(__file__).parent / "recipes"
_PACKAGES = frozenset(("tensorflow", "torch"))
_IMPORTED: dict[str, frozenset[str]] = {}  # by the name of a recipe's module


@dataclass(frozen=True)
class RecipeSource:
    """The text of a recipe file and the fields that the command line overrides.

    Attributes:
        text: the file's content.
        origin: where it came from, shown in tracebacks and errors.
        overrides: recipe fields to replace, such as {'epochs': 3}.
    """

    text: str
    origin: str
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Hash of the text and the overrides: two equal hashes train the same way."""
        overrides = repr(sorted(self.overrides.items()))
        return hashlib.sha256(f"{self.text}\0{overrides}".encode()).hexdigest()

    @property
    def imports(self) -> frozenset[str]:
        """The frameworks' packages that the file itself loads, at its top or by a neighbour.

        Raises:
            RecipeError: the file fails to run.
        """
        return _IMPORTED[self._module().__name__]

    def load(self) -> Recipe:
        """Run the text and return its recipe.

        Raises:
            RecipeError: the file fails to run or defines no `recipe`.
        """
        recipe = getattr(self._module(), "recipe", None)
        if not isinstance(recipe, Recipe):
            raise RecipeError(f"{self.origin} defines no 'recipe = toolkit.Recipe(...)'")
        return dataclasses.replace(recipe, **self.overrides) if self.overrides else recipe

    def _module(self) -> types.ModuleType:
        # by place, too: equal texts in two folders have different neighbours
        key = hashlib.sha256(f"{self.origin}\0{self.sha256}".encode()).hexdigest()
        name = f"toolkit_recipe_{key[:12]}"
        if name in sys.modules:
            return sys.modules[name]
        folder = str(Path(self.origin).parent)
        if folder not in sys.path:  # at the end: a recipe's neighbours must not hide packages
            sys.path.append(folder)
        module = types.ModuleType(name)
        module.__file__ = self.origin
        sys.modules[name] = module
        before = _loaded()
        try:
            exec(compile(self.text, self.origin, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            if isinstance(error, RecipeError):
                raise
            raise RecipeError(_describe(error, self.origin)) from error
        _IMPORTED[name] = (_loaded() - before) | (_named(module) & before)
        return module


def built_in() -> dict[str, Path]:
    """The recipes that ship with the package: file by name."""
    files = sorted(_BUILT_IN.glob("[!_]*.py"))
    return {file.stem: file for file in files}


def find(name: str, overrides: Mapping[str, Any] | None = None) -> RecipeSource:
    """Return the source of a recipe that ships with the package, or of a file.

    Raises:
        NotFoundError: no such recipe or file; names the nearest.
    """
    path = Path(name)
    if path.suffix != ".py" and len(path.parts) == 1:
        shipped = built_in()
        if name not in shipped:
            hint = f"{nearest(name, shipped)}; or give the path of a .py file"
            raise NotFoundError(f"there is no recipe {name!r}; {hint}")
        path = shipped[name]
    try:
        text = path.read_text(encoding="utf-8-sig")  # without a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(
            f"recipe file {name!r} cannot be read: {error}; check the path, or write one: "
            "toolkit init"
        ) from error
    return RecipeSource(text, str(path.resolve()), dict(overrides or {}))


def select_frameworks(source: RecipeSource, wanted: str) -> tuple[str, ...]:
    """Return the frameworks to use for 'tf', 'torch', 'both' or 'all the recipe has' ('auto').

    Raises:
        UsageError: there is no such framework, or the recipe lacks its builder.
        RecipeError: the recipe file imports a framework that must not be loaded here.
    """
    recipe = source.load()
    asked = recipe.frameworks if wanted == "auto" else named_frameworks(wanted)
    for framework in asked:
        if framework not in recipe.frameworks:
            builder = "keras" if framework == "tf" else "torch"
            raise UsageError(
                f"recipe {recipe.name!r} has no {builder!r} builder, which {TITLES[framework]} "
                f"needs; add one, or use --framework {recipe.frameworks[0]}"
            )
    if source.imports and len(asked) > 1:
        raise RecipeError(
            f"the file of recipe {recipe.name!r} imports {' and '.join(sorted(source.imports))} at "
            "its top; a recipe for both frameworks must import them inside its builder functions, "
            "since they cannot share a process"
        )
    return asked


def named_frameworks(wanted: str) -> tuple[str, ...]:
    """The frameworks that are meant by 'tf', 'torch' or 'both'.

    Raises:
        UsageError: there is no such framework.
    """
    if wanted not in (*FRAMEWORKS, "both"):
        raise UsageError(
            f"there is no framework {wanted!r}; {nearest(wanted, (*FRAMEWORKS, 'both'))}"
        )
    return FRAMEWORKS if wanted == "both" else (wanted,)


def _loaded() -> frozenset[str]:
    """The frameworks' packages in this process, whoever loaded them."""
    return frozenset(_PACKAGES & set(sys.modules))


def _named(module: types.ModuleType) -> frozenset[str]:
    """The frameworks' packages that a module's names are from; keras brings its backend."""
    owners = {
        str(value.__name__ if isinstance(value, types.ModuleType) else value.__module__)
        for value in vars(module).values()
        if isinstance(value, types.ModuleType | types.FunctionType | type)
    }
    roots = {owner.partition(".")[0] for owner in owners}
    return frozenset(_PACKAGES & (roots | ({"tensorflow"} if "keras" in roots else set())))


def _describe(error: BaseException, origin: str) -> str:
    frame, line = error.__traceback__, 0
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == origin:
            line = frame.tb_lineno
        frame = frame.tb_next
    if isinstance(error, SyntaxError) and error.filename == origin:
        line = error.lineno or 0
    return f"{origin}, line {line}: {type(error).__name__}: {error}"
