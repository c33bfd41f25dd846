"""The command line: one module a verb, imported when the verb runs.

This is the one place that prints and the one that catches ``CprError``. Exit status 0: fine; 1: the work was done and found
wanting, or it failed; 2: wrong usage; 130: interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from cpr.cli.console import Console, Outcome
from cpr.errors import CprError, UsageError

VERBS = {
    "new": "start a routine from a template, or adopt an existing one",
    "inspect": "show what a SavedModel, a bundle or a folder holds, or how two differ",
    "export": "make a servable SavedModel of what is not one yet",
    "shrink": "make a SavedModel smaller, its answers compared before and after",
    "build": "make a routine folder into a bundle",
    "validate": "prove that a bundle will work on the machine it is meant for",
    "examples": "replay the golden examples at every station, or record what they answer",
    "lock": "lock the requirements with hashes for the target's Python and system",
    "upload": "publish a bundle to a bucket or a folder",
    "list": "show which versions are published at a place",
    "download": "bring a published bundle back",
    "verify": "compare what a bucket holds of a bundle with its manifest",
    "delete": "delete a published version, or what an upload left that never ended",
    "deploy-config": "write the files that deploy a bundle",
    "ship": "build, validate, upload and deploy-config in one",
    "serve": "serve a bundle over HTTP",
    "explain": "write what explains a model's predictions on AI Platform and Vertex AI",
    "predict": "send one request, in process or over HTTP",
    "diagnose": "find out what an error text from the cloud means",
    "demo": "show the whole flow on a sample",
    "doctor": "show what is installed and what is missing",
}


def module_of(verb: str) -> str:
    """The module of a verb. One called ``list`` would stand in front of Python's own here, as a part of this package."""
    return f"cpr.cli.{'versions' if verb == 'list' else verb.replace('-', '_')}"


_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class _Parser(argparse.ArgumentParser):
    """Wrong usage becomes a ``UsageError``, so that it is reported like every other error, as JSON too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}.", f"See `{self.prog} --help`.")

    def print_help(self, file: Any = None) -> None:
        """Its own passes over what cannot be written."""
        print(self.format_help(), end="", flush=True)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows the terminal's width by itself: argparse asks shutil for it, whose import takes longer than to read a model."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=columns - 2)


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    _replace_closed_streams()
    console = Console(json="--json" in arguments, quiet="-q" in arguments or "--quiet" in arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to fail
    debug = "--debug" in arguments
    if not debug:
        # TensorFlow's own chatter about processors and drivers, of no use to a person; what goes wrong is raised, not logged.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return _reported(arguments, console, debug)
    except KeyboardInterrupt:
        console.note("Interrupted.")
        return 130
    except BrokenPipeError:
        _forget_output()  # the reader has gone (`cpr … | head`): nothing is left to say
        return 1
    except OSError as error:
        _forget_output()
        # A stream has no name; anything else without one is a bug, and keeps its traceback.
        if debug or (error.filename is None and error.errno not in _UNWRITABLE):
            raise
        reason = f"{error.strerror or error}."
        with suppress(OSError):  # the stream for errors may be full as well
            if error.filename is None:
                console.json = False  # standard output takes no document
                console.error(CprError(f"The output cannot be written: {reason}", "Look at where standard output goes."))
            else:
                console.error(CprError(reason, "Check the path, its permissions and the free space.", str(error.filename)))
        return 1


def _replace_closed_streams() -> None:
    """Python has ``None`` for a stream that was closed before it started (``cpr … >&-``). What goes there goes to nowhere."""
    for name in ("stdin", "stdout", "stderr"):  # in this order each one gets its own number, and no file that is opened does
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def _reported(arguments: list[str], console: Console, debug: bool) -> int:
    try:
        return _run(arguments, console)
    except CprError as error:
        if debug:
            raise
        console.error(error)
        return 2 if isinstance(error, UsageError) else 1


def _forget_output() -> None:
    """Let what standard output could not take go to nowhere, or the interpreter tries again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str], console: Console) -> int:
    verb = next((word for word in arguments if not word.startswith("-")), None)
    if verb in VERBS:
        parser = _Parser(prog=f"cpr {verb}", formatter_class=_Formatter, allow_abbrev=False)
        module = importlib.import_module(module_of(verb))
        module.configure(parser)
        _common(parser)
        rest = list(arguments)
        rest.remove(verb)
        console.verb = verb
        parsed = parser.parse_args(rest)
        console.json, console.quiet = parsed.json, parsed.quiet
        _refuse_empty(parser, parsed)
        outcome: Outcome = module.run(parsed, console)
        console.outcome(outcome)
        return 0 if outcome.ok else 1
    return _top(verb, arguments, console)


def _refuse_empty(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """An empty argument is a script's unset variable. Taken for a path it would mean the current folder."""
    for action in parser._actions:
        if getattr(parsed, action.dest, None) == "":
            name = action.option_strings[-1] if action.option_strings else str(action.metavar)
            raise UsageError(f"{name} is empty.", "Give it a value, or leave it out; in a script, look for an unset variable.")


def _top(verb: str | None, arguments: list[str], console: Console) -> int:
    if verb is not None:
        import difflib

        near = difflib.get_close_matches(verb, VERBS, n=1)
        raise UsageError(
            f"There is no verb {verb!r}.", f"Did you mean `cpr {near[0]}`?" if near else "See `cpr --help` for the verbs."
        )
    parser = _Parser(
        prog="cpr",
        usage="cpr VERB [ARGUMENTS]",
        description="Package a custom prediction routine, prove that it will work, and deploy it.",
        epilog=_verb_table(),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    _common(parser)
    if parser.parse_args(arguments).version:
        import cpr

        console.verb = "version"
        console.outcome(Outcome({"version": cpr.__version__}, f"cpr {cpr.__version__}"))
        return 0
    parser.print_help()
    return 0 if "-h" in arguments or "--help" in arguments else 2


def _verb_table() -> str:
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    return f"verbs:\n{rows}\n\nStart with `cpr new my_routine`, or watch `cpr demo`. Each verb has its own --help."


def _common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    group.add_argument("-q", "--quiet", action="store_true", help="print results and errors, no progress")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """A stopped job is ended as by Ctrl-C: children are ended with it, and no temporary files stay."""
    raise KeyboardInterrupt
