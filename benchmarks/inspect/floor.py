"""The least that anything in Python can take: read ``saved_model.pb``, walk its wire format, and count its ops.

``python floor.py MODEL``, without any import. No field is checked: this is a floor, and no way to read files of others.
"""

import sys


def varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def fields(data, position, end):
    """Number, begin and end of each length-delimited field."""
    while position < end:
        tag, position = varint(data, position)
        if tag & 7 == 2:
            length, position = varint(data, position)
            yield tag >> 3, position, position + length
            position += length
        elif tag & 7 == 0:
            _, position = varint(data, position)
        else:
            position += 8 if tag & 7 == 1 else 4


def count(data, begin, end, ops):
    """The op of a ``NodeDef``."""
    for number, at, to in fields(data, begin, end):
        if number == 2:
            op = data[at:to]
            ops[op] = ops.get(op, 0) + 1
            return


def main(model):
    with open(model + "/saved_model.pb", "rb") as file:
        data = file.read()
    ops = {}
    for number, begin, end in fields(data, 0, len(data)):
        if number != 2:
            continue
        for part, at, to in fields(data, begin, end):
            if part != 2:
                continue
            for kind, start, stop in fields(data, at, to):
                if kind == 1:
                    count(data, start, stop, ops)
                elif kind == 2:
                    for _, function, function_end in fields(data, start, stop):
                        for inner, node, node_end in fields(data, function, function_end):
                            if inner == 3:
                                count(data, node, node_end, ops)
    for op in sorted(ops):
        print(op.decode(), ops[op])


main(sys.argv[1])
