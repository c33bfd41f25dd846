"""CPR55x, CPR56x: how the class behaves beyond its examples: in other batches, again, in threads, and at import."""

from __future__ import annotations

import ast
import signal
from collections.abc import Iterator, Mapping

from cpr.checks.prediction_class import place
from cpr.checks.registry import Family, Fault, Subject
from cpr.isolation import Trial
from cpr.manifest import EXAMPLES_NAME
from cpr.report import Severity

FAMILY = Family()


def _trials(subject: Subject, *kinds: str) -> Iterator[Trial]:
    for trial in subject.run.trials.found if subject.run is not None else ():
        if trial.kind in kinds:
            yield trial


def _where(subject: Subject, trial: Trial) -> str:
    return place(subject) if trial.line is None else f"{EXAMPLES_NAME}:{trial.line}"


def _pair(details: Mapping[str, str]) -> str:
    """``0.5, and then 0.7, at .score``."""
    at = f" (at {details['place']})" if details.get("place") else ""
    return f"first {details['first']}, then {details['second']}{at}"


@FAMILY.check(
    "CPR551",
    "A batch is not answered instance by instance",
    cause="Clients match predictions to instances by position, whatever the number of instances in a request.",
    remedy="Return one prediction for each instance, in their order, for one as for many; look for squeeze() and sort().",
    source="platform convention; AI Platform's batch prediction makes its own batches",
    prevents="There was a problem processing the outputs (Error code: 3)",
)
def not_by_instance(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "length"):
        # Where every example has one instance, nobody may ever send more.
        severity = Severity.WARNING if trial.details["lone"] == "yes" else None
        message = f"For the batch {trial.details['batch']}, {trial.details['problem']}."
        yield Fault(_where(subject, trial), message, severity=severity)
    for trial in _trials(subject, "order"):
        yield Fault(
            _where(subject, trial),
            f"The predictions of a batch come in another order than its instances: {_batched(trial)}.",
            "Keep the order of the instances. A ranking that its clients know how to read may stand.",
            Severity.WARNING,
        )


def _batched(trial: Trial) -> str:
    details = trial.details
    at = f" (at {details['place']})" if details["place"] else ""
    return f"{details['item']} gives {details['first']} {details['one']} and {details['second']} {details['other']}{at}"


@FAMILY.check(
    "CPR552",
    "predict returns an exception",
    cause="An exception that is returned in place of a prediction has no form in JSON: the whole response fails.",
    remedy="Raise it, or put a value there that says so: None, or an object with the text of the error.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.predictionClass",
    prevents="There was a problem processing the outputs (Error code: 3)",
)
def returns_exception(subject: Subject) -> Iterator[Fault]:
    found = [answer for answer in (subject.run.answers if subject.run is not None else ()) if answer.problem == "exception"]
    for answer in found[:1]:
        more = f" (and in {len(found) - 1} more example{'' if len(found) == 2 else 's'})" if len(found) > 1 else ""
        yield Fault(f"{EXAMPLES_NAME}:{answer.line}", f"predictions{answer.place} is {answer.what}{more}.")


@FAMILY.check(
    "CPR553",
    "A prediction depends on what else is in the batch",
    severity=Severity.WARNING,
    cause="An instance is answered differently, or not at all, where others come with it. A ranking means to be; little else.",
    remedy="Look for statistics over the batch (mean, max, normalisation in training mode), padding without a mask, and arrays "
    "that need equal lengths.",
    source="AI Platform's batch prediction and most clients make batches of their own",
)
def depends_on_batch(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "batch"):
        yield Fault(_where(subject, trial), f"{_batched(trial)}.")
    for trial in _trials(subject, "batch_fails"):
        details = trial.details
        message = f"Instances that are answered in their examples fail in the batch {details['batch']}: {details['problem']}."
        yield Fault(_where(subject, trial), message)


@FAMILY.check(
    "CPR554",
    "A prediction depends on earlier requests",
    severity=Severity.WARNING,
    cause="The routine keeps something between calls. Requests are spread over processes and nodes, each with its own.",
    remedy="Keep what belongs to a request in local variables of predict; send what must be remembered with the request.",
    source="platform contract: one instance for each server process, made by from_path and used for all requests",
)
def keeps_state(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "state"):
        names = trial.details["attributes"]
        kept = f"; what changes between calls: {names}" if names else ""
        yield Fault(
            _where(subject, trial),
            f"The same request is answered differently after other requests: {_pair(trial.details)}{kept}.",
        )


@FAMILY.check(
    "CPR555",
    "The same request is answered differently",
    severity=Severity.WARNING,
    cause="Something random, or the time, has a part in the answer: golden examples cannot hold, and clients see noise.",
    remedy="Seed what draws random numbers, and call a network for inference (`training=False`, `model.eval()`).",
    source="the rehearsal",
)
def is_random(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "random"):
        seeded = trial.details["seeded"] == "yes"
        hint = "; with the generators of random and numpy seeded before each call it is the same" if seeded else ""
        yield Fault(_where(subject, trial), f"Asked twice in a row it differs: {_pair(trial.details)}{hint}.")


@FAMILY.check(
    "CPR556",
    "predict is not safe in threads",
    severity=Severity.WARNING,
    cause="A server may call predict from threads that are not the main one, and from several at once.",
    remedy="Keep what belongs to a request in local variables; guard what cannot be shared with a lock.",
    source="how many threads of a node call predict is not documented; `cpr serve` calls it outside the main thread",
)
def unsafe_in_threads(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "threads"):
        details = trial.details
        alone = details["threads"] == "1"
        many = "Called outside the main thread" if alone else f"Called in {details['threads']} threads at once"
        if details["how"] == "raises":
            what = f"it raises {details['problem']}"
        elif details["how"] == "hangs":
            what = f"it gave no answer within {details['seconds']} seconds"
        else:
            what = f"it answers differently: {_pair(details)}"
        remedy = _ONE_THREAD if alone else None
        yield Fault(_where(subject, trial), f"{many}, {what}.", remedy)
    how = _end(subject)
    if how is not None and subject.run is not None and subject.run.last_phase == "threads":
        yield Fault(place(subject), f"Called in several threads, {how}.")


@FAMILY.check(
    "CPR557",
    "The process does not outlive further requests",
    cause="After the examples the same instances are sent again, alone and in other batches; the process ended or hung.",
    remedy="Send the examples several times, and their instances alone, under `python -X faulthandler`.",
    source="the rehearsal",
)
def does_not_outlive(subject: Subject) -> Iterator[Fault]:
    how = _end(subject)
    if how is not None and subject.run is not None and subject.run.last_phase != "threads":
        yield Fault(place(subject), f"With requests made of the examples, {how}.")


_ONE_THREAD = "Make in predict what is bound to the thread that made it: an event loop, signals, a connection of sqlite3."


def _end(subject: Subject) -> str | None:
    """How the process ended in the trials, after the replay itself had gone through; ``None`` where it did not."""
    run = subject.run
    if run is None or not run.complete or run.trials.complete or run.last_phase not in ("trials", "threads"):
        return None
    if run.timed_out:
        return f"it was stopped after {run.timeout:g} seconds"
    if not run.status:
        return None if run.trials.broken_off is not None else "the process ended itself"
    if run.status > 0:
        return f"the process ended itself with status {run.status}"
    try:
        return f"the process was killed by {signal.Signals(-run.status).name}"
    except ValueError:
        return f"the process was killed by signal {-run.status}"


@FAMILY.check(
    "CPR558",
    "predict changes the instances it is given",
    severity=Severity.WARNING,
    cause="Who calls predict may still want them: to log the request, to send it again, to answer it by another model.",
    remedy="Copy what is to be changed: `dict(instance)`, `list(values)`, `array.copy()`.",
    source="the rehearsal",
)
def mutates(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "mutates"):
        yield Fault(_where(subject, trial), "After predict the instances are not what they were.")


@FAMILY.check(
    "CPR559",
    "Memory grows with every call",
    severity=Severity.WARNING,
    cause="A process serves requests for days; what every call leaves behind ends in too little memory.",
    remedy="Look for lists and caches that only grow, and for graph operations or functions that are made anew in predict.",
    source="the rehearsal",
    prevents="Model requires more memory than allowed. Please try to decrease the model size",
)
def leaks(subject: Subject) -> Iterator[Fault]:
    for trial in _trials(subject, "leak"):
        calls, size = int(trial.details["calls"]), int(trial.details["bytes"])
        message = f"{calls} calls with the examples left {size / 2**20:,.0f} MiB more, {size / calls / 2**10:,.0f} KiB each."
        yield Fault(place(subject), message)


_AT_IMPORT = {
    "file": "opens {what} for writing",
    "process": "starts a process{of}",
    "socket": "listens on a socket",
    "connection": "connects to {what}",
    "thread": "starts a thread, {what}",
    "client": "makes a client ({what})",
}


@FAMILY.check(
    "CPR560",
    "The module does work when it is imported",
    severity=Severity.WARNING,
    cause="Every process of the service imports the module, also one that only looks at the class; a fork takes threads and "
    "connections along broken, and a failure there has no request to be told to.",
    remedy="Do it in from_path, or when it is first needed.",
    source="the rehearsal",
    prevents="There was a problem processing the user code (Error code: 4)",
)
def works_at_import(subject: Subject) -> Iterator[Fault]:
    for kind, what, where in subject.run.at_import if subject.run is not None else ():
        form = _AT_IMPORT.get(kind)
        if form is not None:
            yield Fault(_line_of(subject, where), f"Its import {form.format(what=what, of=f', {what}' if what else '')}.")


def _line_of(subject: Subject, where: str) -> str:
    """``module.py:line`` for ``module.py#NAME``, by the assignment at the top of the module."""
    path, mark, name = where.partition("#")
    if not mark:
        return where
    tree = subject.trees.get(path)
    for node in ast.walk(tree) if tree is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return f"{path}:{node.lineno}" if isinstance(node, ast.stmt) else path
    return path


@FAMILY.check(
    "CPR563",
    "Not all of the behaviour was tried",
    severity=Severity.NOTE,
    cause="The trials after the replay take about as much time as it did; a slow routine gets fewer.",
    remedy="Send fewer instances in an example: what is short is tried more often.",
    source="the rehearsal",
)
def untried(subject: Subject) -> Iterator[Fault]:
    trials = None if subject.run is None else subject.run.trials
    if trials is None:
        return
    if trials.untried:
        names = ", ".join(name for name, _ in trials.untried)
        yield Fault(place(subject), f"Not tried, with calls of {trials.untried[-1][1]:.2g} s each: {names}.")
    if trials.broken_off is not None:
        yield Fault(place(subject), f"The trials were broken off: {trials.broken_off}.")


@FAMILY.check(
    "CPR564",
    "A prediction is an error",
    severity=Severity.NOTE,
    cause="The request counts as answered: neither the service nor its monitoring sees that it failed.",
    remedy="Raise an exception where the request is to fail; where it is meant so, say it with an expectation.",
    source="the rehearsal",
)
def answers_error(subject: Subject) -> Iterator[Fault]:
    expected = {example.line for example in subject.examples if example.expect is not None}
    for answer in subject.run.answers if subject.run is not None else ():
        if answer.error is not None and answer.line not in expected:
            yield Fault(f"{EXAMPLES_NAME}:{answer.line}", f"predictions{answer.error} is the text of an error.")
            return
