"""Options and exit codes of the command line, without argparse.

argparse alone would be a twentieth of the time from the start of a process to its first answer.
What the commands are is in commands.py, what they do in a module of their own: it is imported only
when its command runs.

Exit codes: 0 done; 1 a check failed; 2 bad usage, input, model file or bundle; 3 something broke,
or the runtime is missing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from edge.errors import BrokenRuntimeError, EdgeError, InputError

EXIT_CODES = "exit codes: 0 done; 1 a check failed; 2 bad usage or input; 3 something broke"


class Option:
    """One option of a command. A plain class: a named tuple costs a cold start half a millisecond.

    metavar  what its value is called; empty for a switch
    kind     from text to the value; raises ValueError that says what is wrong
    const    taken where the value is left out, if not None
    many     may be given several times; the values become a list
    key      its name as an attribute of the parsed options
    """

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 - what it is
        metavar: str = "",
        kind: Callable[[str], Any] = str,
        default: Any = None,
        *,
        const: Any = None,
        many: bool = False,
    ) -> None:
        self.name, self.help, self.metavar, self.kind = name, help, metavar, kind
        self.default, self.const, self.many = default, const, many
        self.key = name.lstrip("-").replace("-", "_")


class Command:
    """One command.

    target      "module:function"; the function takes the parsed options and returns the exit code
    arguments   (name, key of its value, help) of what has to be given
    more        (name, help) of what may follow, any number of times; or None
    """

    def __init__(
        self,
        name: str,
        summary: str,
        target: str,
        arguments: tuple[tuple[str, str, str], ...],
        options: tuple[Option, ...],
        more: tuple[str, str] | None = None,
    ) -> None:
        self.name, self.summary, self.target = name, summary, target
        self.arguments, self.options, self.more = arguments, options, more


DEBUG = Option("--debug", "show tracebacks and what the runtime prints")


def execute(command: Command, argv: Sequence[str] | None = None) -> int:
    """Run a command with its arguments, by default those of the process; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    # Modules and a model stay: looking for garbage among them is a twentieth of a cold start.
    gc.disable()
    try:
        if "-h" in given or "--help" in given:
            print(help_text(command))
            return 0
        options = parse(command, given)
        module, _, function = command.target.partition(":")
        code: int = getattr(import_module(module), function)(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader left, as in `... | head`. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except Exception as error:  # noqa: BLE001 - the last line of defence turns it into a message
        return report(error, debug="--debug" in given)
    finally:
        gc.enable()
    return code


def report(error: Exception, *, debug: bool) -> int:
    """Print what went wrong to stderr; returns the exit code."""
    if debug:
        import traceback

        traceback.print_exc()
    print(f"error: {message(error)}", file=sys.stderr)
    known = isinstance(error, EdgeError) and not isinstance(error, BrokenRuntimeError)
    return 2 if known else 3


def message(error: Exception) -> str:
    """What to tell a user about an error."""
    if isinstance(error, EdgeError):
        return str(error)
    return f"{type(error).__name__}: {error} (try --debug)"


def parse(command: Command, argv: Sequence[str]) -> SimpleNamespace:
    """The options and arguments by name; further arguments are the list `more`.

    Raises InputError that names the wrong option.
    """
    known = {option.name: option for option in command.options}
    values = {o.key: [] if o.many else o.default for o in command.options}
    words: list[str] = []
    rest = list(argv)
    while rest:
        text = rest.pop(0)
        name, equals, attached = text.partition("=")
        if text == "--":
            words += rest
            break
        if name in known:
            value = _value(known[name], attached if equals else None, rest, known)
            _store(values, known[name], value)
        elif text.startswith("--"):
            raise _usage(command, f"no option is called {name}{_nearest(name, known)}")
        else:
            words.append(text)
    needed = len(command.arguments)
    if len(words) < needed:
        raise _usage(command, f"{command.arguments[len(words)][0]} is missing")
    if len(words) > needed and command.more is None:
        raise _usage(command, f"{words[needed]!r} is one argument too many")
    values.update(zip((key for _, key, _ in command.arguments), words))
    return SimpleNamespace(**values, more=words[needed:])


def _value(option: Option, attached: str | None, rest: list[str], known: dict[str, Option]) -> Any:
    """The value of an option: behind its =, or the next argument, which is taken off `rest`."""
    if not option.metavar:
        if attached is not None:
            raise InputError(f"{option.name} takes no value")
        return True
    follows = rest and rest[0].partition("=")[0] not in known
    if attached is None and option.const is not None and not (follows and rest[0][:1] != "-"):
        return option.const
    if attached is None and not follows:
        raise InputError(f"{option.name}: {option.metavar} is missing")
    text = rest.pop(0) if attached is None else attached
    try:
        return option.kind(text)
    except ValueError as error:
        raise InputError(f"{option.name}: {error}") from error


def _store(values: dict[str, Any], option: Option, value: Any) -> None:
    if option.many:
        values[option.key].append(value)
    else:
        values[option.key] = value


def _usage(command: Command, problem: str) -> InputError:
    return InputError(f"{problem}\n{usage(command)}")


def _nearest(name: str, known: Any) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def usage(command: Command) -> str:
    """One line: how to write the command."""
    words = [name for name, _, _ in command.arguments]
    words += [f"[{command.more[0]} ...]"] if command.more else []
    return f"usage: {command.name} {' '.join(words)} [options]"


def help_text(command: Command) -> str:
    """What --help prints."""
    import textwrap

    rows = [(name, text) for name, _, text in command.arguments]
    rows += [command.more] if command.more else []
    for option in (*command.options, Option("--help", "show this")):
        value = f" [{option.metavar}]" if option.const is not None else f" {option.metavar}"
        rows.append((option.name + value.rstrip(), option.help))
    width = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, text in rows:
        first, *others = textwrap.wrap(text, 98 - width)
        lines += [f"  {name.ljust(width)}{first}", *(" " * (width + 2) + o for o in others)]
    return "\n".join([usage(command), "", command.summary, "", *lines, "", EXIT_CODES])
