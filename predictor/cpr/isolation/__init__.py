"""The rehearsal: a bundle installed and run as the service would, in a fresh interpreter, an empty folder, without a network.

:func:`rehearse` gives a :class:`Run`, a plain record of what happened; :mod:`cpr.checks` makes findings of it.
``environment`` is what it runs on, ``installed`` what it may see of that, ``child`` a process that leaves nothing behind,
``probe`` and what is named after it the program that it runs (standalone, Python 3.7), ``record`` what that told.
"""

from cpr.isolation.environment import THIS_INTERPRETER, UNPROTECTED, Environment
from cpr.isolation.installed import Provided
from cpr.isolation.job import Extent, Scene
from cpr.isolation.record import Answer, ImportCost, Imported, Phase, Raised, Run, Shape
from cpr.isolation.rehearsal import TIMEOUT_SECONDS, rehearse, replay_in_place
from cpr.isolation.trials import Trial, Trials

__all__ = [
    "THIS_INTERPRETER",
    "TIMEOUT_SECONDS",
    "UNPROTECTED",
    "Answer",
    "Environment",
    "Extent",
    "ImportCost",
    "Imported",
    "Phase",
    "Provided",
    "Raised",
    "Run",
    "Scene",
    "Shape",
    "Trial",
    "Trials",
    "rehearse",
    "replay_in_place",
]
