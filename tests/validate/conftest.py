"""What the tests of this folder share."""

from __future__ import annotations

from typing import Any

import pytest

from cpr.checks import Subject, inspect


@pytest.fixture
def subjects(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """What the checks are given to look at while the test runs; they look at it all the same."""
    seen: list[Subject] = []

    def keeping(subject: Subject, *rest: Any, **more: Any) -> Any:
        seen.append(subject)
        return inspect(subject, *rest, **more)

    monkeypatch.setattr("cpr.checks.inspect", keeping)
    return seen
