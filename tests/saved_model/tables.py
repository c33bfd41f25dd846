"""Writes tables as LevelDB's, sound and broken ones, and what a checkpoint's index has in them."""

import google_crc32c
from protobuf_fields import number, varint, within

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")

PLAIN, SNAPPY = b"\0", b"\1"


def masked_crc32c(content):
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def pair(key, value, shared=0):
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(*pairs, restarts=(0,)):
    return b"".join(pairs) + b"".join(point.to_bytes(4, "little") for point in restarts) + len(restarts).to_bytes(4, "little")


def sealed(content, kind=PLAIN):
    return content + kind + masked_crc32c(content + kind).to_bytes(4, "little")


def table(data, handles=None, kind=PLAIN, last=b"\xff\xff"):
    """A table with one data block, to which ``handles`` lead (default: one that is right)."""
    stored = sealed(data, kind)
    if handles is None:
        handles = [varint(0) + varint(len(data))]
    starts, entries = [], []
    for place, handle in enumerate(handles):
        starts.append(sum(map(len, entries)))
        entries.append(pair(last + bytes([place]), handle))
    index = block(*entries, restarts=starts)
    footer = (varint(0) + varint(0) + varint(len(stored)) + varint(len(index))).ljust(40, b"\0") + MAGIC
    return stored + sealed(index) + footer


def packed(pairs, interval=16):
    """A block in which keys share what they have in common with the one before, but for every ``interval``-th."""
    entries, restarts, before, size = [], [], b"", 0
    for place, (key, value) in enumerate(pairs):
        shared = 0
        if place % interval == 0:
            restarts.append(size)
        else:
            while shared < min(len(before), len(key)) and before[shared] == key[shared]:
                shared += 1
        entries.append(pair(key[shared:], value, shared))
        size += len(entries[-1])
        before = key
    return block(*entries, restarts=restarts or (0,))


def blocks_of(pairs, compress=None, each=1000, interval=16):
    """The last key of each block and what is stored of it, ``each`` pairs in one. ``compress`` makes it Snappy's."""
    some = [pairs[start : start + each] for start in range(0, len(pairs), each)]
    return [(part[-1][0], (compress or bytes)(packed(part, interval))) for part in some]


def assembled(blocks, kind=PLAIN, index=None):
    """A whole table of stored blocks. ``index`` is the content of the index block, where it is not that of these blocks."""
    content, handles = b"", []
    for last, stored in blocks:
        handles.append((last, varint(len(content)) + varint(len(stored))))
        content += sealed(stored, kind)
    ends = []
    for data in (block(), packed(handles, 1) if index is None else index(packed(handles, 1))):
        ends.append(varint(len(content)) + varint(len(data)))
        content += sealed(data)
    return content + b"".join(ends).ljust(40, b"\0") + MAGIC


def written(pairs, compress=None, each=1000, interval=16):
    """A whole table."""
    return assembled(blocks_of(pairs, compress, each, interval), SNAPPY if compress else PLAIN)


VERSION = number(1, 1)
"""What TensorFlow writes: made by a producer of version 1."""


def header(shards=1, big_endian=False, versions=VERSION):
    """A ``BundleHeaderProto``."""
    return number(1, shards) + (number(2, 1) if big_endian else b"") + within(3, versions)


def entry(dtype, shape, shard, offset, content_size, crc32c, more=b""):
    """A ``BundleEntryProto``."""
    dims = b"".join(within(2, number(1, size)) for size in shape)
    numbers = number(1, dtype) + within(2, dims) + number(3, shard) + number(4, offset) + number(5, content_size)
    return numbers + varint(6 << 3 | 5) + crc32c.to_bytes(4, "little") + more
