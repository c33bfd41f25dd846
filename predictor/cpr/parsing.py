"""Parsing the author's Python without running it, and without a word about it on the terminal."""

from __future__ import annotations

import ast
import warnings


def parsed(content: bytes, version: tuple[int, int] | None = None) -> ast.Module | SyntaxError:
    """The tree, or why there is none. ``version`` asks for the syntax of an older Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in the author's source is not ours to report
            return ast.parse(content, feature_version=version)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or "nested too deep")
