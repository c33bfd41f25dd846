"""Requirements locked with hashes for the Python and the platform of a target, through uv as a subprocess.

``lock`` holds the values, ``resolve`` asks uv, ``refusals`` reads what it says when there is no answer, ``uv`` finds and runs
it, ``wanted`` decides what is locked for which target, ``kept`` remembers locks for environments that are made again.
"""

from cpr.locking.lock import Lock, Package
from cpr.locking.resolve import lock
from cpr.locking.wanted import Wanted, wanted

__all__ = ["Lock", "Package", "Wanted", "lock", "wanted"]
