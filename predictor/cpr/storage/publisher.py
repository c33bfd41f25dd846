"""Who publishes: told to those who come second."""

from __future__ import annotations

import getpass
import os
import socket

_LONGEST = 100


def publisher() -> str:
    """``CPR_PUBLISHER`` where it is set (empty: nobody is named), else the user and the machine: ``jane@build-7``."""
    text = os.environ.get("CPR_PUBLISHER")
    if text is None:
        try:
            text = f"{getpass.getuser()}@{socket.gethostname()}"
        except (KeyError, OSError):  # a user without a name, as containers have them
            text = socket.gethostname()
    return "".join(character for character in text if character.isprintable())[:_LONGEST]
