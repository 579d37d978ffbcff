"""Games of gymnasium's CartPole-v1, to learn from and to prove exported policies by.

    python -m toolkit.games FILE... [--episodes 100] [--least 475]

plays with .tflite and .onnx files on the edge runtime alone, prints each one's mean return, and
exits with 1 where one is below `--least`.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.errors import EdgeError
from toolkit.errors import ToolkitError, UsageError
from toolkit.specs import Array

LIMIT = 500
"""Steps of a game at most; each is worth 1."""


class Games:
    """Some games of CartPole-v1 side by side; one that is over begins anew.

    Args:
        count: of the games.
        seed: of how they begin.

    Attributes:
        states: of now, float32 [count, 4]: place, speed, angle, angular speed.
        returns: of each game's first episode so far, [count].
        open: whether a game's first episode goes on, [count].

    Raises:
        UsageError: gymnasium is not installed.
    """

    def __init__(self, count: int, seed: int) -> None:
        gymnasium = _gymnasium()
        games = [gymnasium.make("CartPole-v1", disable_env_checker=True) for _ in range(count)]
        self._games: list[Any] = games
        self.states = np.stack([g.reset(seed=seed * count + i)[0] for i, g in enumerate(games)])
        self.returns, self.open = np.zeros(count), np.ones(count, bool)

    def step(self, actions: Array) -> tuple[Array, Array, Array]:
        """Push every cart, 0 to the left and 1 to the right; return what that led to.

        Returns:
            States [count, 4] before a new beginning, whether the pole fell [count], and whether
            the game is over [count], for that or for its length.
        """
        self.returns += self.open
        came = [game.step(int(action)) for game, action in zip(self._games, actions, strict=True)]
        states, fell = np.stack([each[0] for each in came]), np.array([each[2] for each in came])
        over = fell | np.array([each[3] for each in came])
        self.open &= ~over
        self.states = states.copy()
        for index in np.flatnonzero(over):
            self.states[index] = self._games[index].reset()[0]
        return states, fell, over


def mean_return(path: str, episodes: int, seed: int = 777) -> float:
    """What a policy in a .tflite or .onnx file reaches in games that are new to it, side by side.

    Raises:
        EdgeError: the file is no model, or does not take states and decide.
    """
    from edge.answer import answer
    from edge.runtime import load

    model, games = load(path), Games(episodes, seed)
    while games.open.any():
        answers = answer(model, {model.inputs[0].name: games.states}).answers
        if answers is None or answers.shape != (episodes,):
            raise UsageError(f"{path} does not decide between left and right; export it again")
        games.step(answers)
    return float(games.returns.mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 where a policy is too weak, 2 on misuse."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.games")
    parser.add_argument("files", nargs="+", metavar="FILE", help="an exported .tflite or .onnx")
    parser.add_argument("--episodes", type=int, default=100, help="games of each (100)")
    parser.add_argument("--least", type=float, default=475.0, help="mean return that is good (475)")
    given = parser.parse_args(arguments)
    if given.episodes < 1:
        parser.error("--episodes must be 1 or more")
    weak = 0
    for path in given.files:
        try:
            reached = mean_return(path, given.episodes)
        except (EdgeError, ToolkitError) as error:
            parser.error(str(error))
        weak += reached < given.least
        sys.stdout.write(f"{path}: mean return {reached:.1f} of {LIMIT}\n")
    return int(weak > 0)


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise UsageError(
            "cartpole needs gymnasium, which is not installed; install it: pip install gymnasium"
        ) from error
    return gymnasium


if __name__ == "__main__":
    sys.exit(main())
