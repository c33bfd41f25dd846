"""What a user asks of an export, and what each kind of source gives back: the values that pass between the modules here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Run = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Answers of the source: signature and input arrays by name to output arrays by name, in the names that the source has."""

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress"))
METHODS = {"predict": PREDICT, "classify": CLASSIFY, "regress": REGRESS}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the export. Everything has a default that fits a source without ambiguity.

    ``inputs`` and ``outputs`` are tensors of a graph by the names that clients will use, and ``constants`` values that tensors
    are to have for good. ``tags`` are those that the result gets, and ``from_tags`` choose a MetaGraph of the source.
    ``signature`` is the one that edits are about, or that a new one is called. ``function`` is a function of a module.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None
    from_tags: tuple[str, ...] | None = None
    signature: str | None = None
    function: Any = None
    rename_signatures: Mapping[str, str] = field(default_factory=dict)
    rename_inputs: Mapping[str, str] = field(default_factory=dict)
    rename_outputs: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None
    add: str | None = None
    checkpoint: str | None = None
    keep_batch: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What a source's module wrote: ``notes`` for the user, and how to ask the source itself, ``None`` where it cannot run.

    ``why`` says in the second case why not. ``requests`` are the only ones that the source answers, by signature, where it
    does not answer any. ``by_tags`` ask each graph of a source that has several.
    """

    notes: tuple[str, ...] = ()
    run: Run | None = None
    why: str = ""
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_tags: Mapping[frozenset[str], Run] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Names:
    """How the source called what the result calls otherwise: by new name, those of a signature by its new name, too."""

    signatures: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def asked(self, run: Run) -> Run:
        """``run`` in the names of the result."""

        def renamed(signature: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
            inputs, outputs = self.inputs.get(signature, {}), self.outputs.get(signature, {})
            given = {inputs.get(name, name): array for name, array in arrays.items()}
            answered = run(self.signatures.get(signature, signature), given)
            new = {old: name for name, old in outputs.items()}
            return {new.get(name, name): array for name, array in answered.items()}

        return renamed

    def translated(self, requests: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Requests of the source, in the names of the result."""
        signatures = {old: new for new, old in self.signatures.items()}
        found = {}
        for key, arrays in requests.items():
            new = signatures.get(key, key)
            inputs = {old: name for name, old in self.inputs.get(new, {}).items()}
            found[new] = {inputs.get(name, name): array for name, array in arrays.items()}
        return found


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(names) or "none"
