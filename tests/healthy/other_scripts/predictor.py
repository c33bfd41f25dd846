# -*- coding: utf-8 -*-
"""Ein Prädiktor mit Umlauten, 日本語 und 🦊 in Namen, Quelltext und Daten."""
import io
import os


class Groesse:
    def __init__(self, wörter):
        self._wörter = wörter

    @classmethod
    def from_path(cls, model_dir):
        with io.open(os.path.join(model_dir, "wörter.txt"), encoding="utf-8") as datei:
            return cls(dict(zeile.rstrip("\n").split("\t") for zeile in datei))

    def predict(self, instances, **kwargs):
        return [{"größe": self._wörter.get(wort, "unbekannt 🦊")} for wort in instances]
