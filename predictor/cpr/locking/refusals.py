"""What uv says when it has no answer, read into errors of our own.

Its words are for people, and change: what is not understood is passed on as it stands.
"""

from __future__ import annotations

import re

from cpr.errors import IndexUnreachable, NoSolution, RequirementsError

_NO_WHEEL = re.compile(r"\b([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?:[<>=!~]+[^\s;]+)?\s+has no (usable wheels|wheels with)")
_NO_BUILD = re.compile(r"Wheels are required for `([^`]+)`")
_UNREACHABLE = (
    "error sending request",
    "Failed to fetch",
    "dns error",
    "tcp connect error",
    "Network connectivity is disabled",
    "Could not connect",
)
_MAX_TEXT = 1200
_LOGIN = re.compile(r"(\w+://)[^/\s@]+@")


def wheelless(errors: str) -> tuple[str, bool] | None:
    """The package that uv names as one without a fitting wheel, and whether it has a source distribution in place of one;
    ``None`` where it complains of something else."""
    if found := _NO_BUILD.search(errors):
        return found[1].lower(), True
    if found := _NO_WHEEL.search(_joined(errors)):
        return found[1].lower(), found[2] == "usable wheels"
    return None


def refusal(errors: str, target: str) -> RequirementsError:
    """The error for what uv said. ``target`` tells in words what was resolved for."""
    text = _joined(errors)
    if _is_unreachable(text):
        return IndexUnreachable(
            f"The package index cannot be reached: {_reason(text)}",
            "Look at the network, or name another index (UV_DEFAULT_INDEX, or PIP_INDEX_URL).",
        )
    if "No solution found" in text:
        return NoSolution(
            f"The requirements cannot be resolved for {target}: {_clause(text)}",
            "Change the version that it names under `requirements` in routine.yaml.",
            "requirements",
        )
    return RequirementsError(
        f"uv cannot lock the requirements for {target}: {_clause(text)}",
        "Mend what it names under `requirements` in routine.yaml.",
        "requirements",
    )


def _joined(errors: str) -> str:
    """The text on one line, without warnings, hints and what a URL may hold of a login."""
    kept = [line.strip() for line in errors.splitlines() if line.strip() and not line.startswith(("warning:", "Using Python"))]
    return _LOGIN.sub(r"\1", " ".join(kept))


def _is_unreachable(text: str) -> bool:
    """A status that the server gave (404 of one package, 401) is an answer."""
    return "No solution found" not in text and any(mark in text for mark in _UNREACHABLE)


def _reason(text: str) -> str:
    causes = [cause.strip() for cause in re.split(r"\bcause: ", text)]
    reason = causes[-1].partition(" hint: ")[0] if causes else text
    place = re.search(r"https?://[^\s/)]+", text)
    return _sentence(f"{reason} ({place[0]})" if place else reason)


def _clause(text: str) -> str:
    """The cause without the head line and the hints."""
    body = text.partition(" hint: ")[0].removeprefix("error: ").removeprefix("No solution found when resolving dependencies")
    body = re.sub(r"\s*\b(cause|╰─▶): ?", " ", body).replace("╰─▶", "").replace("×", "").strip(" :")
    body = re.sub(r", we can conclude that your requirements are unsatisfiable", "", body)
    return _sentence(body)


def _sentence(text: str) -> str:
    text = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
    return text if text.endswith(".") else text + "."
