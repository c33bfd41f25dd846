"""What each service explains, read from ``deploy/explanations/services.yaml``, with the schemas beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from cpr import resources
from cpr.errors import TargetError, UsageError
from cpr.explaining.schema import problems

AI_PLATFORM, VERTEX = "ai-platform", "vertex-ai"
SCHEMAS = {AI_PLATFORM: "explanation_metadata.schema.json", VERTEX: "explanation_spec.schema.json"}


class Method(NamedTuple):
    """How a service calls a method, its one parameter, and the bounds of that (``most`` is ``None`` where none is known)."""

    name: str
    key: str
    parameter: str
    least: int
    most: int | None = None

    def attribution(self, count: int) -> dict[str, Any]:
        """The method in a document of the service's; ``UsageError`` for a number that it does not take."""
        if count < self.least or (self.most is not None and count > self.most):
            bounds = f"from {self.least} to {self.most}" if self.most is not None else f"{self.least} or more"
            option = "--paths" if "ath" in self.parameter else "--steps"
            raise UsageError(f"{self.parameter} is {count}.", f"Give {bounds}.", option)
        return {self.key: {self.parameter: count}}


class Service(NamedTuple):
    """A service that explains: when it ends, its methods by name, and what is known of TensorFlow versions."""

    name: str
    title: str
    ends: str
    methods: Mapping[str, Method]
    container_methods: tuple[str, ...]
    no_routine: str
    versions: tuple[Mapping[str, str], ...]

    def version_note(self, tensorflow: str) -> str | None:
        """What speaks against models of a TensorFlow version here; ``None`` where nothing does."""
        release = _release(tensorflow)
        if release is None:
            return f"The model does not say which TensorFlow wrote it, so whether {self.title} explains it is not known."
        for row in self.versions:
            last = _release(row["to"])
            if (_release(row["from"]) or release) <= release and (last is None or release <= last):
                if row["state"] == "yes":
                    return None
                doubt = "may not explain" if row["state"] == "doubtful" else "does not explain"
                return f"{self.title} {doubt} a model of TensorFlow {tensorflow}. {row['note']}"
        return f"Whether {self.title} explains a model of TensorFlow {tensorflow} is not known."


@cache
def service(name: str) -> Service:
    """``ai-platform`` or ``vertex-ai``; a ``TargetError`` names the nearest where it is neither."""
    document = resources.read_document("explanations", "services.yaml")
    known = [key for key in document if key != "retrieved"]
    if name not in known:
        raise TargetError(
            f"{name!r} is no target that explains.", resources.suggestion(name, known, "Those that do are"), "--target"
        )
    data = document[name]
    methods = {key: Method(key, **row) for key, row in data["methods"].items()}
    containers = tuple(data.get("container_methods", ()))
    return Service(name, data["title"], data["ends"], methods, containers, data.get("no_routine", ""), tuple(data["versions"]))


def check(target: str, document: Mapping[str, Any], remedy: str = "Report this: nothing that cpr makes should be.") -> None:
    """``TargetError`` for a document that the service's schema refuses."""
    schema = resources.read_document("explanations", SCHEMAS[target])
    found = list(problems(document, schema))
    if found:
        raise TargetError(f"The explanation config does not fit {service(target).title}: {found[0]}.", remedy, target)


def _release(version: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", version)
    return None if found is None else (int(found[1]), int(found[2]))
