"""Checksums of parts joined to that of the whole, with google-crc32c as the oracle."""

from __future__ import annotations

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from cpr.storage.crc32c import joined


@given(parts=st.lists(st.binary(max_size=300), max_size=6))
def test_the_parts_make_the_whole(parts: list[bytes]) -> None:
    assert joined((google_crc32c.value(part), len(part)) for part in parts) == google_crc32c.value(b"".join(parts))


def test_long_parts() -> None:
    parts = [bytes(3 << 20), b"\x01" * (3 << 20), b"end"]
    assert joined((google_crc32c.value(part), len(part)) for part in parts) == google_crc32c.value(b"".join(parts))
