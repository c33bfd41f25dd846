"""The rehearsal: a bundle installed and run as the service would, in a fresh interpreter, an empty folder, without a network.

:func:`rehearse` gives a :class:`Run`, a plain record of what happened; :mod:`cpr.checks` makes findings of it.
``environment`` is what it runs on, ``child`` a process that leaves nothing behind, ``probe`` the program that it runs
(standalone, Python 3.7) with what lies beside it for the trials of the class, ``record`` what that told.
"""

from cpr.isolation.environment import THIS_INTERPRETER, Environment
from cpr.isolation.record import Answer, Phase, Raised, Run, Shape, Trial, Trials
from cpr.isolation.rehearsal import TIMEOUT_SECONDS, Sampling, rehearse

__all__ = [
    "THIS_INTERPRETER",
    "TIMEOUT_SECONDS",
    "Answer",
    "Environment",
    "Phase",
    "Raised",
    "Run",
    "Sampling",
    "Shape",
    "Trial",
    "Trials",
    "rehearse",
]
