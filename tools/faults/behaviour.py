"""Faults in what the routine does: how it ends, what it touches, what it remembers, what it answers."""

from __future__ import annotations

from faults.planting import Fault, Plant, asks, edits, forgets_expectations, together, writes
from faults.source import CODE, SCORE, imports, loads, predicts, scores

ENDS, NETWORK, TYPE, JSON = ("CPR505",), ("CPR508",), ("CPR511",), ("CPR512",)
BEHAVIOUR = ("CPR55*",)
TIME = ("CPR55*", "CPR561")
MEMORY = ("CPR53*", "CPR55*")
WORLD = ("CPR54[3-9]", "CPR55*", "CPR560")
EACH = "[self.score(text) for text in instances]"
ANSWER = 'return {"score"'


def quietly(*plants: Plant) -> Plant:
    """With examples that expect nothing: the behaviour alone must tell."""
    return together(*plants, forgets_expectations)


def at_import(*lines: str) -> Plant:
    return edits(CODE, ("class Scorer", "\n".join(lines) + "\n\n\nclass Scorer"))


FETCH = 'urllib.request.urlopen("http://models.example.com/vocabulary.txt", timeout=5).read()'
BUFFER = ("self.row = []", "for place in row:", "    self.row.append(place)", "    time.sleep(0.002)",
          "average = sum(self.row) / max(1, len(self.row))")  # fmt: skip

FAULTS = (
    Fault("sys.exit at import", "texts", CODE, together(imports("import sys"), at_import("sys.exit(1)")), ENDS),
    Fault("The command line parsed at import", "texts", CODE, together(
        imports("import argparse"), at_import("PARSER = argparse.ArgumentParser()", 'PARSER.add_argument("--data", required=True)',
                                              "ARGUMENTS = PARSER.parse_args()")), ENDS),
    Fault("sys.exit in predict", "texts", CODE, together(imports("import sys"), scores("if not row:", "    sys.exit(2)")), ENDS),
    Fault("os._exit in predict", "texts", CODE, scores("if not row:", "    os._exit(0)"), ENDS),
    Fault("predict puts another program in its place", "texts", CODE,
          together(imports("import sys"), scores('os.execv(sys.executable, [sys.executable, "-c", "pass"])')), ENDS),
    Fault("A crash in native code", "texts", CODE, together(imports("import ctypes"), scores("ctypes.string_at(0)")), ("CPR506",)),
    Fault("A loop without end", "texts", CODE, scores("while not row:", "    pass"), ("CPR507",), timeout=8),
    Fault("A lock taken twice", "texts", CODE,
          together(imports("import threading"), loads("lock = threading.Lock()", "lock.acquire()", "lock.acquire()")), ("CPR507",), timeout=8),
    Fault("A recursion without end", "texts", CODE, scores("self.score(text)"), ("CPR504",)),
    Fault("A question to the terminal", "texts", CODE, loads('input("Which model? ")'), ("CPR503",)),
    Fault("The network at import", "texts", CODE, together(imports("import urllib.request"), at_import(f"WORDS = {FETCH}")), NETWORK),
    Fault("The network in from_path", "texts", CODE, together(imports("import urllib.request"), loads(FETCH)), NETWORK, fast=True),
    Fault("The network in predict", "texts", CODE, together(imports("import urllib.request"), scores(FETCH)), NETWORK),
    Fault("The network in predict, and its failure passed over", "texts", CODE, together(
        imports("import urllib.request"), scores("try:", f"    {FETCH}", "except OSError:", "    pass")), NETWORK),
    Fault("A socket to an address without a name", "texts", CODE, together(
        imports("import socket"), loads('socket.create_connection(("203.0.113.7", 6379), timeout=5)')), NETWORK),
    Fault("A file written at import", "texts", CODE, at_import('with open("scorer.log", "w") as file:', '    file.write("loaded")'), WORLD),
    Fault("A file of the model written over", "texts", CODE,
          loads('with open(os.path.join(model_dir, "scaler.json"), "a") as file:', '    file.write("\\n")'), ("CPR509",)),
    Fault("A file written into the model directory", "texts", CODE,
          loads('with open(os.path.join(model_dir, "cache.txt"), "w") as file:', '    file.write("")'), ("CPR509", *WORLD),
          why_missed="What is new there stays in the rehearsal's copy; a file of the model that is altered is found."),
    Fault("A program started at import", "texts", CODE,
          together(imports("import subprocess, sys"), at_import('subprocess.run([sys.executable, "-c", "pass"], check=True)')), WORLD),
    Fault("A child forked in predict that never ends", "texts", CODE,
          scores("if os.fork() == 0:", "    import time", "    time.sleep(600)"), WORLD,
          why_missed="A note (CPR533) says that the routine starts processes, where they are seen."),
    Fault("More memory than the machine has", "texts", CODE, loads("cls.ballast = bytearray(b'x') * (2100 << 20)"), ("CPR531",)),
    Fault("Nearly as much memory as the machine has", "texts", CODE,
          loads("cls.ballast = bytearray(b'x') * (1850 << 20)"), ("CPR531",)),
    Fault("Memory that grows with every request", "texts", CODE,
          together(at_import("KEPT = []"), predicts(f"KEPT.append(bytearray(b'x') * (8 << 20))\nreturn {EACH}")), MEMORY),
    Fault("A second of sleep for every request", "texts", CODE,
          together(imports("import time"), predicts(f"time.sleep(1)\nreturn {EACH}")), TIME,
          why_missed="Slow is an error only against a budget: `cpr validate --max-p99`. The latency is measured and told."),
    Fault("Four seconds of sleep at import", "texts", CODE, together(imports("import time"), at_import("time.sleep(4)")), TIME,
          why_missed="The seconds of each phase are told; nothing says how long a start may take."),
    Fault("The vocabulary read anew for every request", "texts", CODE, together(
        edits(CODE, ("        return cls({word", "        cls.folder = model_dir\n        return cls({word")),
        predicts(f"self.places = type(self).from_path(self.folder).places\nreturn {EACH}")), TIME,
        why_missed="It is slower, and right."),
    Fault("State between calls: the mean follows the requests", "texts", CODE, scores("self.mean += average"), ("CPR517",), fast=True),
    Fault("State between calls, without expectations", "texts", CODE, quietly(scores("self.mean += average")), BEHAVIOUR),
    Fault("The number of calls in the answer, without expectations", "texts", CODE, quietly(
        at_import("CALLS = []"), scores("CALLS.append(1)", "average += len(CALLS)")), BEHAVIOUR),
    Fault("A cache that returns stale answers", "texts", CODE,
          together(at_import("CACHE = {}"), predicts("return [CACHE.setdefault(len(text), self.score(text)) for text in instances]")),
          ("CPR517",)),
    Fault("A cache that returns stale answers, without expectations", "texts", CODE, quietly(
        at_import("CACHE = {}"), predicts("return [CACHE.setdefault(len(text), self.score(text)) for text in instances]")), BEHAVIOUR,
        why_missed="It answers the same whenever it is asked: only an expectation tells that it is wrong."),
    Fault("A buffer that threads share", "texts", CODE, together(imports("import time"), scores(*BUFFER)), BEHAVIOUR),
    Fault("Random numbers in the answer", "texts", CODE,
          together(imports("import random"), scores("average += random.random() / 100")), ("CPR517",)),
    Fault("Random numbers in the answer, without expectations", "texts", CODE, quietly(
        imports("import random"), scores("average += random.random() / 100")), BEHAVIOUR),
    Fault("The time of day in the answer, without expectations", "texts", CODE,
          quietly(imports("import time"), scores("average += time.time()")), BEHAVIOUR,
          why_missed="From call to call the seconds since 1970 change less than the tolerance that numbers are compared with."),
    Fault("The order of a set in the answer, without expectations", "texts", CODE,
          quietly(edits(CODE, (ANSWER, 'return {"words": list(set("abcdefghij" + text)), "score"'))), BEHAVIOUR,
          why_missed="The order of a set of strings changes from process to process, and within one it stays."),
    Fault("Scores divided by the largest of the batch", "texts", CODE, predicts(
        "rows = [self.score(text)['score'] for text in instances]\nreturn [{'score': row / max(map(abs, rows))} for row in rows]"),
        ("CPR517",)),
    Fault("Scores divided by the largest of the batch, without expectations", "texts", CODE, quietly(predicts(
        "rows = [self.score(text)['score'] for text in instances]\nreturn [{'score': row / max(map(abs, rows))} for row in rows]")),
        BEHAVIOUR),
    Fault("Only one instance at a time works", "texts", CODE,
          predicts("(text,) = instances\nreturn [self.score(text)]"), ("CPR504",)),
    Fault("Only one instance at a time works, and no example has two", "texts", CODE, together(
        predicts("(text,) = instances\nreturn [self.score(text)]"),
        asks({"instances": ["blue"]}, {"instances": ["red fox"]}, {"instances": ["house"]})), BEHAVIOUR),
    Fault("Predictions sorted by score, without expectations", "texts", CODE,
          quietly(predicts(f"return sorted({EACH}, key=lambda row: row['score'])")), BEHAVIOUR),
    Fault("No prediction for an empty text", "texts", CODE, predicts("return [self.score(text) for text in instances if text]"), ("CPR514",)),
    Fault("One prediction for the whole request", "texts", CODE, predicts(f"return {EACH}[:1]"), ("CPR514",)),
    Fault("An exception swallowed into an empty list", "texts", CODE,
          predicts(f"try:\n    return {EACH[:-1]} if text[0]]\nexcept IndexError:\n    return []"), ("CPR514",)),
    Fault("An exception returned as a prediction", "texts", CODE,
          predicts("return [ValueError('empty') if not text else self.score(text) for text in instances]"), (*JSON, *BEHAVIOUR)),
    Fault("The text of an exception returned as a prediction, without expectations", "texts", CODE, quietly(
        predicts("try:\n    return [self.score(text) for text in instances if text[0]]\n"
                 "except IndexError as error:\n    return [repr(error)] * len(instances)")), BEHAVIOUR),
    Fault("NaN for an empty text", "texts", CODE, scores('average = average if row else float("nan")'), ("CPR513",)),
    Fault("NaN for an input that no example has", "texts", CODE, scores('average = average if len(row) < 9 else float("nan")'), ("CPR513",),
          why_missed="What no example asks for is not seen. Examples at the corners are the remedy."),
    Fault("A crash on an input that no example has", "texts", CODE, scores("average /= len(row) < 9"), ("CPR504", *BEHAVIOUR),
          why_missed="What no example asks for is not seen. Examples at the corners are the remedy."),
    Fault("Infinity for an unknown text", "texts", CODE, scores('average = average or float("inf")'), ("CPR513",)),
    Fault("NumPy numbers in the answer", "texts", CODE, together(imports("import numpy"), scores("average = numpy.float32(average)")), JSON),
    Fault("An array in place of a list", "texts", CODE,
          together(imports("import numpy"), predicts("return numpy.asarray([self.score(text)['score'] for text in instances])")), TYPE),
    Fault("A generator in place of a list", "texts", CODE, predicts("return (self.score(text) for text in instances)"), TYPE),
    Fault("A dictionary in place of a list", "texts", CODE, predicts(f"return {{'predictions': {EACH}}}"), TYPE),
    Fault("A text in place of a list", "texts", CODE, together(predicts(f"return json.dumps({EACH})")), TYPE),
    Fault("The return forgotten", "texts", CODE, predicts(EACH), TYPE),
    Fault("Bytes in the answer", "texts", CODE, edits(CODE, (ANSWER, 'return {"text": text.encode(), "score"')), JSON),
    Fault("A set in the answer", "texts", CODE, edits(CODE, (ANSWER, 'return {"places": set(row), "score"')), JSON),
    Fault("A date in the answer", "texts", CODE, together(
        imports("import datetime"), edits(CODE, (ANSWER, 'return {"day": datetime.date(2020, 1, 1), "score"'))), JSON),
    Fault("A pair as a key of the answer", "texts", CODE, edits(CODE, (ANSWER, 'return {(1, 2): 0, "score"')), JSON),
    Fault("A field of the answer renamed", "texts", CODE, edits(CODE, (ANSWER, 'return {"value"')), ("CPR517",)),
    Fault("A threshold moved", "texts", CODE, edits(CODE, ("for place in row if place]", "for place in row if place > 1]")), ("CPR517",)),
    Fault("Lower case forgotten", "texts", "textual.py", edits("textual.py", (".lower()", "")), ("CPR517",)),
    Fault("Unicode normalised in another way", "texts", "textual.py", writes(
        "textual.py", "import unicodedata\n\n\ndef tokens(text):\n    return unicodedata.normalize('NFD', text.lower()).split()\n"),
        ("CPR517",)),
    Fault("An integer division", "texts", CODE, edits(CODE, (SCORE, SCORE.replace(" / ", " // "))), ("CPR517",)),
    Fault("A default encoding", "texts", CODE, edits(CODE, ('"scaler.json"), encoding="utf-8"', '"scaler.json")')), WORLD,
          why_missed="It reads what the rehearsal's locale says, and that is UTF-8 there and on the platform."),
    Fault("Data of the package read through the working directory", "texts", CODE, together(
        writes("words.txt", "red\n"), loads('open("words.txt").close()')), ("CPR503",)),
)  # fmt: skip
