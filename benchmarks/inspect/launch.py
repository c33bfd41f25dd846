"""Runs a command; prints its seconds, those of the processor, its peak memory in KiB: ``python -I -S launch.py WORD …``.

A process of its own because Linux counts as a child's memory what its parent had when it started it: this one has less than any
command here. Its output goes nowhere.
"""

import os
import sys
import time

start = time.perf_counter()
nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
print(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
