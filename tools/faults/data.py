"""Faults in what the model directory holds, in the bundle, and in the pickles."""

from __future__ import annotations

import json
import os
from pathlib import Path

from faults.planting import Fault, Plant, cuts, drops, edits, flips, nothing, together, writes
from faults.routines import step

VOCABULARY, SCALER, PICKLE = "model/vocabulary.txt", "model/scaler.json", "model/step.pkl"
ANSWER = ("CPR517",)
LOADING = ("CPR503",)
CONTENT = ("CPR7*",)


def _recoded(encoding: str) -> Plant:
    return lambda folder: (folder / VOCABULARY).write_bytes((folder / VOCABULARY).read_text("utf-8").encode(encoding))


def _line_endings(folder: Path) -> None:
    (folder / VOCABULARY).write_bytes((folder / VOCABULARY).read_bytes().replace(b"\n", b"\r\n"))


def _outside(folder: Path) -> None:
    outside = folder.parent / "outside.txt"
    (folder / VOCABULARY).rename(outside)
    (folder / VOCABULARY).symlink_to(outside)


def _dangling(folder: Path) -> None:
    (folder / "model" / "weights.bin").symlink_to(folder / "model" / "nowhere.bin")


def _key(name: str) -> str:
    """A key that looks like one, and was never one: put together here so that no scanner of this repository finds it."""
    parts = {"aws": ("AK", "IA", "Q3EGRJ7T5XKMW2PL"), "github": ("gh", "p_", "R8s2Kf9QzL4mXv7TnB1cWy6HdJ3pGa5E0uVx")}
    return "".join(parts[name])


def _service_account() -> str:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    rows = "\n".join(body[i:] + body[:i] for i in range(0, 60, 3))
    pem = f"-----BEGIN {'PRIVATE'} KEY-----\n{rows}\n-----END {'PRIVATE'} KEY-----\n"
    account = {"type": "service_account", "project_id": "shop-prod", "private_key_id": "5f3c" * 10, "private_key": pem}
    return json.dumps(account | {"client_email": "trainer@shop-prod.iam.gserviceaccount.com", "client_id": "1034987612345"})


def _notebook(text: str) -> str:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": [text]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _many(folder: Path) -> None:
    for number in range(1001):
        (folder / "model" / f"part-{number}.txt").write_text(str(number))


def _large(folder: Path) -> None:
    with open(folder / "model" / "embeddings.bin", "wb") as file:
        file.truncate(500_000_001)


FAULTS = (
    Fault("One word of the vocabulary changed", "texts", VOCABULARY, edits(VOCABULARY, ("fox", "dog")), ANSWER, fast=True),
    Fault("Two words of the vocabulary swapped", "texts", VOCABULARY, edits(VOCABULARY, ("red\ngreen", "green\nred")), ANSWER),
    Fault("The vocabulary's last word dropped", "texts", VOCABULARY, edits(VOCABULARY, ("house\n", "")), ANSWER),
    Fault("The vocabulary with Windows line endings", "texts", VOCABULARY, _line_endings, ANSWER),
    Fault("The vocabulary in UTF-16", "texts", VOCABULARY, _recoded("utf-16"), LOADING),
    Fault("The vocabulary in Latin-1", "texts", VOCABULARY, _recoded("latin-1"), LOADING),
    Fault("The vocabulary with a byte order mark", "texts", VOCABULARY, _recoded("utf-8-sig"), ANSWER),
    Fault("The vocabulary sorted anew", "texts", VOCABULARY,
          writes(VOCABULARY, "blue\ncafé\nfox\ngreen\nhouse\nred\n"), ANSWER),
    Fault("The vocabulary not exported", "texts", VOCABULARY, drops(VOCABULARY), LOADING),
    Fault("The vocabulary empty", "texts", VOCABULARY, writes(VOCABULARY, ""), ANSWER),
    Fault("The scaler's mean changed", "texts", SCALER, edits(SCALER, ("1.25", "1.26")), ANSWER),
    Fault("The scaler's mean changed within the tolerance", "texts", SCALER, edits(SCALER, ("1.25", "1.2500001")), ANSWER,
          why_missed="The tolerance of the expectations allows it, as it allows the rounding of another machine."),
    Fault("The scaler's scale is zero", "texts", SCALER, edits(SCALER, ("0.5", "0.0")), ("CPR504",)),
    Fault("The scaler's scale is NaN", "texts", SCALER, edits(SCALER, ("0.5", "NaN")), ("CPR513",)),
    Fault("A key of the scaler renamed", "texts", SCALER, edits(SCALER, ('"mean"', '"average"')), LOADING),
    Fault("A number of the scaler written as text", "texts", SCALER, edits(SCALER, ("1.25", '"1.25"')), ("CPR504",)),
    Fault("The scaler's file cut short", "texts", SCALER, cuts(SCALER, 0.5), LOADING),
    Fault("A bit of the scaler's file flipped after the build", "texts", "the bundle: " + SCALER, nothing, (),
          after=flips(SCALER, 0.3), fast=True),
    Fault("A model file dropped from the bundle after the build", "texts", "the bundle: " + VOCABULARY, nothing, (),
          after=drops(VOCABULARY)),
    Fault("The bundle's package cut short after the build", "texts", "the bundle: packages/", nothing, (),
          after=lambda root: cuts(f"packages/{next((root / 'packages').iterdir()).name}", 0.9)(root)),
    Fault("The manifest edited after the build", "texts", "the bundle: manifest.json", nothing, (),
          after=edits("manifest.json", ('"1.0.0"', '"9.0.0"'))),
    Fault("More bytes than the machine takes", "texts", "model/", _large, ("CPR203",)),
    Fault("More files than the service copies", "texts", "model/", _many, ("CPR204",)),
    Fault("A link that leads out of the folder", "texts", VOCABULARY, _outside, CONTENT),
    Fault("A link that leads nowhere", "texts", "model/weights.bin", _dangling, CONTENT),
    Fault("A pipe among the model files", "texts", "model/pipe", lambda folder: os.mkfifo(folder / "model" / "pipe"), CONTENT),
    Fault("Two names that differ in case alone", "texts", "model/Vocabulary.txt",
          writes("model/Vocabulary.txt", "red\n"), CONTENT),
    Fault("A name that Windows does not take", "texts", "model/aux.txt", writes("model/aux.txt", "red\n"), CONTENT,
          why_missed="A note (CPR722) tells it: the service runs on Linux."),
    Fault("A name with a line break", "texts", "model/", writes("model/a\nb.txt", "red\n"), CONTENT),
    Fault("A model directory without a file", "texts", "model/", together(drops(VOCABULARY), drops(SCALER)), ("CPR201",)),
    Fault("Two files that the service takes for the model", "pickled", "model/model.joblib",
          together(writes("model/model.joblib", step()), writes("model/model.pkl", step())), ("CPR202",), fast=True),
    Fault("An access key in the source", "texts", "predictor.py",
          edits("predictor.py", ("import json\n", f'import json\n\nKEY = "{_key("aws")}"\n')), CONTENT,
          why_missed="The id of a key opens nothing without its secret; with that beside it, it is found."),
    Fault("A token in the source", "texts", "textual.py",
          edits("textual.py", ("def tokens", f'TOKEN = "{_key("github")}"\n\n\ndef tokens')), CONTENT),
    Fault("A service account's key in the model directory", "texts", "model/account.json",
          writes("model/account.json", _service_account()), CONTENT),
    Fault("A token in a notebook that travels", "texts", "model/train.ipynb",
          writes("model/train.ipynb", _notebook(f"token = '{_key('github')}'\n")), CONTENT),
    Fault("An environment file with a key in the model directory", "texts", "model/.env",
          writes("model/.env", f"AWS_ACCESS_KEY_ID={_key('aws')}\n"), CONTENT,
          why_missed="The id of a key opens nothing without its secret; with that beside it, it is found."),
    Fault("The mean changed in a pickled preprocessor", "pickled", PICKLE, writes(PICKLE, step(mean=b"2.5")), ANSWER, fast=True),
    Fault("A pickle cut short", "pickled", PICKLE, cuts(PICKLE, 0.6), (*LOADING, *CONTENT)),
    Fault("A pickle that names __main__", "pickled", PICKLE, writes(PICKLE, step(name=b"__main__\nScaler")), (*LOADING, *CONTENT)),
    Fault("A pickle that names the training's module", "pickled", PICKLE,
          writes(PICKLE, step(name=b"trainer.steps\nScaler")), (*LOADING, *CONTENT)),
    Fault("A pickle of protocol 5 for Python 3.7", "pickled", PICKLE, writes(PICKLE, b"\x80\x05" + step()), CONTENT),
    Fault("A pickle that runs a shell command", "pickled", PICKLE,
          writes(PICKLE, b"cposix\nsystem\n(S'true'\ntR0" + step()), CONTENT),
    Fault("A pickle that names a module of NumPy 2", "pickled", "model/extra.pkl",
          writes("model/extra.pkl", b"cnumpy._core.multiarray\nscalar\n."), CONTENT),
)  # fmt: skip
