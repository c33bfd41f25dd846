"""CPR51x, CPR52x: the examples, and what predict returned for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from cpr.checks.registry import Family, Fault, Subject
from cpr.examples import compare
from cpr.isolation import Answer
from cpr.manifest import EXAMPLES_NAME
from cpr.report import Severity

FAMILY = Family()


def _faults(
    subject: Subject, problem: Callable[[Answer], str | None], remedies: Mapping[str, str] | None = None
) -> Iterator[Fault]:
    """One fault for each distinct problem, at the first line that has it, with the number of others. ``remedies`` are those
    for certain types of what predict returned."""
    found: dict[str, list[Answer]] = {}
    for answer in subject.run.answers if subject.run is not None else ():
        text = problem(answer)
        if text is not None:
            found.setdefault(text, []).append(answer)
    for text, answers in found.items():
        others = len(answers) - 1
        more = f" (and in {others} more example{'' if others == 1 else 's'})" if others else ""
        yield Fault(f"{EXAMPLES_NAME}:{answers[0].line}", f"{text}{more}.", (remedies or {}).get(answers[0].type))


@FAMILY.check(
    "CPR511",
    "predict returns no list",
    cause="The service puts what predict returns into JSON as `predictions`, and takes a list.",
    remedy="Return a list with one prediction for each instance: `.tolist()` for an array, `list(…)` for a generator.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.predictionClass",
    prevents="There was a problem processing the outputs: {reason} (Error code: 3)",
)
def no_list(subject: Subject) -> Iterator[Fault]:
    def problem(answer: Answer) -> str | None:
        return f"predict returns {answer.type}, not a list" if answer.problem == "type" else None

    return _faults(subject, problem, _REMEDIES)


_REMEDIES = {
    "coroutine": "Write predict as a plain function, without async.",
    "async_generator": "Write predict as a plain function, without async, that returns a list.",
    "dict": "Return a list with one prediction for each instance; the service puts it under `predictions` itself.",
    "NoneType": "Return the predictions; predict ended without a return.",
}


@FAMILY.check(
    "CPR512",
    "The answer is not JSON",
    cause="The service writes the answer as JSON; bytes, arrays, NumPy scalars, sets and dates have no form there.",
    remedy="Convert it: `.tolist()` for arrays, `.item()` for NumPy scalars, base64 text for bytes.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.predictionClass",
    prevents="There was a problem processing the outputs: {reason} (Error code: 3)",
)
def not_json(subject: Subject) -> Iterator[Fault]:
    def problem(answer: Answer) -> str | None:
        return f"predictions{answer.place} is {answer.what}; JSON cannot hold it" if answer.problem == "json" else None

    return _faults(subject, problem)


@FAMILY.check(
    "CPR513",
    "The answer holds NaN or Infinity",
    cause="JSON has no such numbers; strict readers refuse the whole response.",
    remedy="Return None or a finite number in its place, and look for the division or logarithm that makes it.",
    source="RFC 8259, section 6",
)
def not_a_number(subject: Subject) -> Iterator[Fault]:
    return _faults(subject, lambda answer: f"predictions{answer.place} is {answer.what}" if answer.problem == "nan" else None)


@FAMILY.check(
    "CPR514",
    "Not one prediction for each instance",
    cause="Clients match predictions to instances by position.",
    remedy="Return one prediction for each instance, in the same order; None where there is none.",
    source="platform convention; Google's prediction library does not count",
)
def row_count(subject: Subject) -> Iterator[Fault]:
    def problem(answer: Answer) -> str | None:
        if answer.rows is None or answer.rows == answer.instances:
            return None
        return f"predict returns {answer.rows} predictions for {answer.instances} instances"

    return _faults(subject, problem)


@FAMILY.check(
    "CPR515",
    "The answer is too large",
    cause="A response has a limit in bytes.",
    remedy="Return less for each instance, or send fewer instances in a request.",
    source="https://cloud.google.com/ai-platform/prediction/docs/custom-container-requirements",
)
def too_large(subject: Subject) -> Iterator[Fault]:
    limit = subject.target.limits.response_bytes

    def problem(answer: Answer) -> str | None:
        too_much = limit is not None and answer.bytes is not None and answer.bytes > limit
        return f"the response has {answer.bytes:,} bytes; {subject.target.title} takes {limit:,}" if too_much else None

    return _faults(subject, problem)


@FAMILY.check(
    "CPR516",
    "An example is too large",
    cause="A request has a limit in bytes.",
    remedy="Send fewer instances in a request, or smaller ones.",
    source="https://cloud.google.com/ai-platform/prediction/docs/custom-container-requirements",
)
def request_too_large(subject: Subject) -> Iterator[Fault]:
    limit = subject.target.limits.request_bytes
    for example in subject.examples if limit is not None else ():
        size = len(json.dumps(example.request, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if limit is not None and size > limit:
            message = f"The request has {size:,} bytes; {subject.target.title} takes {limit:,}."
            yield Fault(f"{EXAMPLES_NAME}:{example.line}", message)


@FAMILY.check(
    "CPR565",
    "An example has more instances than gcloud sends",
    severity=Severity.NOTE,
    cause="gcloud itself sends so many instances in a request at most. The service and other clients have no such limit.",
    remedy="Nothing for other clients; for gcloud, send fewer instances in a request.",
    source="gcloud 528.0.0, predict_utilities.py",
    prevents="The gcloud CLI can currently process no more than {number} instances per file",
)
def more_than_gcloud_sends(subject: Subject) -> Iterator[Fault]:
    limit = subject.target.limits.gcloud_instances
    long = [example for example in subject.examples if limit is not None and len(example.request["instances"]) > limit]
    if long:
        count = len(long[0].request["instances"])
        more = f" (and {len(long) - 1} more examples)" if len(long) > 1 else ""
        yield Fault(f"{EXAMPLES_NAME}:{long[0].line}", f"It has {count:,} instances; gcloud sends {limit} at most{more}.")


@FAMILY.check(
    "CPR517",
    "An answer differs from its expectation",
    cause="The bundle does not predict what its golden example says.",
    remedy="Find what changed (model, vocabulary, preprocessing, library); if the new answer is right, put it in the example.",
    source="examples.jsonl",
)
def differs(subject: Subject) -> Iterator[Fault]:
    expected = {example.line: example.expect for example in subject.examples}
    for answer in subject.run.answers if subject.run is not None else ():
        expect = expected.get(answer.line)
        if expect is None or answer.answer is None or answer.rows != answer.instances:
            continue
        difference = compare(expect.predictions, answer.answer, expect.rtol, expect.atol)
        if difference is not None:
            yield Fault(f"{EXAMPLES_NAME}:{answer.line}", f"The answer differs at {difference}.")


@FAMILY.check(
    "CPR521",
    "Nothing was replayed",
    severity=Severity.WARNING,
    cause="Without examples, predict is never called here.",
    remedy='Add examples.jsonl, one request a line: {"instances": [...], "expect": {"predictions": [...]}}.',
    source="examples.jsonl",
)
def no_examples(subject: Subject) -> Iterator[Fault]:
    if not subject.examples and subject.examples_problem is None:
        missing = "has no request in it" if subject.bundle.manifest.has_examples else "is not there"
        yield Fault(EXAMPLES_NAME, f"{EXAMPLES_NAME} {missing}: predict was not called.")


@FAMILY.check(
    "CPR522",
    "A bad line in examples.jsonl",
    cause="A line of examples.jsonl is a request body as it would be POSTed, with an optional `expect`.",
    remedy='Write one request a line: {"instances": [...], "expect": {"predictions": [...]}}.',
    source="examples.jsonl",
)
def bad_example(subject: Subject) -> Iterator[Fault]:
    problem = subject.examples_problem
    if problem is not None:
        line = (problem.where or "").rpartition(":")[2]
        yield Fault(f"{EXAMPLES_NAME}:{line}" if line.isdigit() else EXAMPLES_NAME, problem.message, problem.remedy)


@FAMILY.check(
    "CPR523",
    "An answer was too large to compare",
    severity=Severity.NOTE,
    cause="The rehearsal keeps a bounded amount of answers.",
    remedy="Split the examples over smaller requests.",
    source="the rehearsal",
)
def not_compared(subject: Subject) -> Iterator[Fault]:
    expected = {example.line for example in subject.examples if example.expect is not None}
    for answer in subject.run.answers if subject.run is not None else ():
        if answer.line in expected and answer.problem is None and answer.answer is None:
            yield Fault(f"{EXAMPLES_NAME}:{answer.line}", "The answer was not compared with its expectation.")
