"""What a deploy target allows, read once from its ``target.yaml``: machines, runtimes, limits, names, labels.

No limit, size or version of a platform stands in code; the data says where each comes from and when it was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from cpr import resources
from cpr.errors import TargetError
from cpr.manifest import ai_platform_version, hyphenated, underscored

Variant = Literal["routine", "container"]


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type.

    ``variant`` says what runs on it: the ``routine`` itself, installed by the service, or a ``container`` that serves it.
    ``endpoint`` is ``global`` or ``regional``, ``memory_mib`` in MiB, ``max_model_bytes`` the limit on the model directory in
    bytes (``None``: none is known). ``warning`` is text for the user where the name is deprecated or doubtful, else empty;
    ``doubtful`` is true for a name that no official list has: it is checked with that warning, but no config is written for it.
    ``workers`` is how many processes there each load the routine, 1 where that is not known.
    """

    name: str
    variant: Variant
    endpoint: str
    cpus: int
    memory_mib: int
    max_model_bytes: int | None
    stage: str
    warning: str = ""
    doubtful: bool = False
    workers: int = 1


@dataclass(frozen=True, slots=True)
class PastFault:
    """A fault of the service with a runtime version, since mended: its ISO dates, its Python (``None``: any), what failed."""

    start: str
    end: str
    python: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime version of the service: its TensorFlow (``2.9``) and its Pythons, oldest first.

    ``routines`` tells how sure it is that routines deploy on it: ``yes``, ``likely`` or ``doubtful``; ``note`` tells why.
    """

    version: str
    tensorflow: str
    pythons: tuple[str, ...]
    routines: Literal["yes", "likely", "doubtful"]
    note: str = ""
    faults: tuple[PastFault, ...] = ()

    @property
    def python(self) -> str:
        """The newest Python of the runtime: what a routine is deployed with."""
        return self.pythons[-1]

    @property
    def warning(self) -> str:
        """Text for the user where the evidence that routines deploy on this runtime is weak, else empty."""
        return "" if self.routines == "yes" else f"Routines on runtime {self.version}: {self.routines}. {self.note}".strip()


def python_on(runtime: Runtime | None, declared: str | None) -> str | None:
    """``major.minor`` of the Python that a routine runs on: a runtime's own decides, of two the declared one; ``None`` where
    nothing does."""
    short = None if declared is None else ".".join(declared.split(".")[:2])
    return short if runtime is None or short in runtime.pythons else runtime.python


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a target that hold on every machine: files in the model directory, bytes and seconds of a request, instances
    that gcloud puts into one.

    ``None``: none is known. The limit on the size of a model is the machine's: ``Machine.max_model_bytes``.
    """

    max_files: int | None
    request_bytes: int | None
    response_bytes: int | None
    request_seconds: int | None
    gcloud_instances: int | None = None


@dataclass(frozen=True, slots=True)
class NameRule:
    """How a target spells a kind of name and what it allows; ``rule`` says it in words."""

    spelling: str
    pattern: str
    max_length: int
    rule: str

    def spell(self, name: str) -> str:
        return underscored(name) if self.spelling == "underscored" else hyphenated(name)

    def allows(self, spelt: str) -> bool:
        return len(spelt) <= self.max_length and re.fullmatch(self.pattern, spelt) is not None


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What a target allows as labels: patterns of a whole key and a whole value, both lower-case; ``rule`` in words."""

    key: str
    value: str
    max_count: int
    rule: str

    def problem(self, labels: tuple[tuple[str, str], ...]) -> str | None:
        """What is wrong with these labels, in words; ``None`` where nothing is."""
        if len(labels) > self.max_count:
            return f"There are {len(labels)} labels; at most {self.max_count} are allowed."
        for key, value in labels:
            lower = key == key.lower() and value == value.lower()
            if not lower or re.fullmatch(self.key, key) is None or re.fullmatch(self.value, value) is None:
                return f"The label {key!r}: {value!r} is not allowed."
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """One deploy target. ``retired`` is the ISO date of its end or ``None``; ``successors`` are names of targets.

    ``schemes`` are the URI schemes that it can fetch a model from, ``regions`` the known regions by endpoint (none: not known).
    """

    name: str
    title: str
    retired: str | None
    retired_note: str
    successors: tuple[str, ...]
    schemes: tuple[str, ...]
    default_region: str
    regions: tuple[tuple[str, tuple[str, ...]], ...]
    machines: tuple[Machine, ...]
    aliases: tuple[tuple[str, Machine], ...]
    default_machine: Machine
    runtimes: tuple[Runtime, ...]
    default_runtime: Runtime | None
    limits: Limits
    model_rule: NameRule
    version_rule: NameRule
    labels: LabelRule

    def machines_taking(self, size: int) -> tuple[Machine, ...]:
        """The machine types that take a model directory of ``size`` bytes, in the order of the catalogue."""
        return tuple(each for each in self.machines if each.max_model_bytes is None or each.max_model_bytes >= size)

    def machine(self, name: str | None = None) -> Machine:
        """The machine type of that name (``None``: the default). A ``TargetError`` names the nearest for an unknown one.

        An alias gives the machine it stands for, with a ``warning``; so does a doubtful name, under its own name.
        """
        if name is None:
            return self.default_machine
        known = dict(self.aliases) | {machine.name: machine for machine in self.machines}
        if name in known:
            return known[name]
        names = [machine.name for machine in self.machines]
        raise TargetError(
            f"{self.title} has no machine type {name!r}.",
            resources.suggestion(name, names, "The machine types are"),
            "--machine-type",
        )

    def machines_for(self, variant: Variant) -> tuple[Machine, ...]:
        """The machine types that take a variant, in the order of the data: smallest first within a family."""
        return tuple(machine for machine in self.machines if machine.variant == variant)

    def runtime(self, version: str | None = None) -> Runtime | None:
        """The runtime of that version (``None``: the default). ``None`` where the target has no runtimes, only containers.

        A ``TargetError`` names the nearest for an unknown one.
        """
        if not self.runtimes:
            return None
        if version is None:
            return self.default_runtime
        for runtime in self.runtimes:
            if runtime.version == version:
                return runtime
        known = [runtime.version for runtime in self.runtimes]
        raise TargetError(
            f"{self.title} has no runtime version {version!r} that runs routines.",
            f"The runtime versions are {', '.join(known)}; the default is {getattr(self.default_runtime, 'version', None)}.",
            "runtime_version",
        )

    def region(self, name: str | None, machine: Machine) -> str:
        """The region (``None``: the default) where a machine is wanted; a ``TargetError`` where its endpoint is not there."""
        region = self.default_region if name is None else name
        known = dict(self.regions).get(machine.endpoint, ())
        if (known and region not in known) or re.fullmatch(r"[a-z][a-z0-9-]*", region) is None:
            raise TargetError(
                f"{self.title} has no region {region!r} for {machine.name}.",
                resources.suggestion(region, known, "The regions are") if known else "Name one such as us-central1.",
                "--region",
            )
        return region

    def model_name(self, name: str) -> str:
        """The target's spelling of a routine's name; a ``TargetError`` where the target does not allow it."""
        return self._spelt(self.model_rule, name, name, "name")

    def version_name(self, version: str) -> str:
        """The target's spelling of a version (``1.0`` is ``v1_0`` or ``v1-0``); a ``TargetError`` where it is not allowed."""
        return self._spelt(self.version_rule, ai_platform_version(version), version, "version")

    def _spelt(self, rule: NameRule, text: str, original: str, key: str) -> str:
        spelt = rule.spell(text)
        if not rule.allows(spelt):
            raise TargetError(
                f"{self.title} does not allow the {key} {original!r} (spelt {spelt!r} there).",
                f"Change the {key} in routine.yaml. Allowed are {rule.rule}.",
                f"routine.yaml: {key}",
            )
        return spelt


@cache
def read_target(name: str) -> Target:
    """The target of that name; a ``TargetError`` names the nearest for an unknown one."""
    document = resources.read_target(name)
    retired = document.get("retired", {})
    machines = document["machines"]
    types = _machines(machines["families"])
    runtimes = document.get("runtimes", {"versions": {}, "default": None})
    versions = {version: _runtime(version, entry) for version, entry in runtimes["versions"].items()}
    names = document["names"]
    labels = document["labels"]
    return Target(
        name=name,
        title=document["title"],
        retired=str(retired["date"]) if retired else None,
        retired_note=retired.get("note", ""),
        successors=tuple(retired.get("successors", ())),
        schemes=tuple(document["storage"]["schemes"]),
        default_region=document["regions"]["default"],
        regions=tuple(
            (kind, tuple(document["regions"][kind])) for kind in ("global", "regional") if kind in document["regions"]
        ),
        machines=tuple(types.values()),
        aliases=_aliases(machines, types),
        default_machine=types[machines["default"]],
        runtimes=tuple(versions.values()),
        default_runtime=versions.get(runtimes["default"]),
        limits=_limits(document["limits"]),
        model_rule=NameRule(**names["model"]),
        version_rule=NameRule(**names["version"]),
        labels=LabelRule(labels["key"], labels["value"], labels["max_count"], labels["rule"]),
    )


def _machines(families: list[dict[str, Any]]) -> dict[str, Machine]:
    return {
        name: Machine(
            name=name,
            variant=family["variant"],
            endpoint=family["endpoint"],
            cpus=entry["cpus"],
            memory_mib=entry["memory_mib"],
            max_model_bytes=family.get("max_model_bytes"),
            stage=entry["stage"],
            workers=family.get("workers", 1),
        )
        for family in families
        for name, entry in family["types"].items()
    }


def _aliases(machines: dict[str, Any], types: dict[str, Machine]) -> tuple[tuple[str, Machine], ...]:
    old = {name: replace(types[entry["is"]], warning=entry["warning"]) for name, entry in machines.get("aliases", {}).items()}
    doubtful = {
        name: replace(
            types[entry["like"]],
            name=name,
            memory_mib=entry["memory_mib"],
            stage="not listed",
            warning=entry["warning"] + f" {entry['like']} is the name that the official list has.",
            doubtful=True,
        )
        for name, entry in machines.get("doubtful", {}).items()
    }
    return tuple((old | doubtful).items())


def _runtime(version: str, entry: dict[str, Any]) -> Runtime:
    faults = tuple(
        PastFault(str(fault["start"]), str(fault["end"]), fault.get("python"), fault["what"])
        for fault in entry.get("faults", ())
    )
    return Runtime(version, entry["tensorflow"], tuple(entry["python"]), entry["routines"], entry.get("note", ""), faults)


def _limits(entry: dict[str, Any]) -> Limits:
    keys = ("max_files", "request_bytes", "response_bytes", "request_seconds", "gcloud_instances")
    return Limits(*(entry.get(key) for key in keys))
