"""The memory of a process together with those that it started, looked at while they run; on Linux alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


class Family:
    """The most children seen at one time, and the most memory in MiB that all together had then: what is shared counts once."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.children = 0
        self.together_mib = 0.0

    def look(self) -> None:
        children = set(_descendants(self._pid))
        if children:
            self.children = max(self.children, len(children))
            own = _kib(self._pid, "Rss:")
            self.together_mib = max(self.together_mib, (own + sum(_kib(pid, "Private_") for pid in children)) / 1024)


def _descendants(pid: int) -> Iterator[int]:
    try:
        lists = [entry.read_text() for entry in (_PROC / str(pid) / "task").glob("*/children")]
    except OSError:
        return  # it has ended
    for child in (int(word) for text in lists for word in text.split()):
        yield child
        yield from _descendants(child)


def _kib(pid: int, prefix: str) -> int:
    try:
        rows = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) for row in rows if row.startswith(prefix) and "Hugetlb" not in row)
