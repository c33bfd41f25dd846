"""Pictures inside the graph: from the bytes of a file to an array of one size."""

from __future__ import annotations

from typing import Any

from cpr.embedding._tensorflow import refusing, tensorflow
from cpr.embedding.texts import decoded

_MARKS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")
"""How files of PNG, JPEG, GIF and BMP begin. The last two are base64 as well, but not of anything that is a picture."""

_WHITE = 255.0
_FORMATS = "PNG, JPEG, GIF or BMP"
_NEITHER = f"is neither a picture ({_FORMATS}) nor base64 of one."


def picture_bytes(strings: Any) -> Any:
    """The bytes of pictures, where each row has these, or base64 of them (as :func:`~cpr.embedding.decode_b64` takes it).

    So one signature serves clients that send ``{"b64": …}``, which servers decode, and those that send the base64 text alone.
    A string tensor in, one of the same shape out.
    """
    tf = tensorflow()
    ready = _is_picture(tf, strings)
    return tf.where(ready, strings, decoded(tf.where(ready, "", strings), _NEITHER))


def decode_image(
    contents: Any,
    height: int,
    width: int,
    channels: int = 3,
    scale: float = 1 / _WHITE,
    offset: float = 0.0,
    method: str = "bilinear",
) -> Any:
    """Pictures as an array: strings ``[rows]`` with the bytes of PNG, JPEG, GIF or BMP files to float32
    ``[rows, height, width, channels]``.

    Each is decoded to 8 bits and resized by ``tf.image.resize`` with ``method``, whatever its proportions; then it becomes
    ``pixel * scale + offset``: from 0 to 1 unless told otherwise, from -1 to 1 with ``scale=2 / 255, offset=-1``. ``channels``
    is 3 (red, green, blue) or 1 (luma, ITU-R BT.601). Of a GIF the first frame counts, and transparency is left out. A row that
    is no picture fails the request with its name; one that is damaged further in, with what TensorFlow says.
    """
    tf = tensorflow()
    checked = refusing(tf, _is_picture(tf, contents), contents, f"is no picture ({_FORMATS}).")

    def pixels_of(content: Any) -> Any:
        pixels = tf.io.decode_image(content, channels=3, expand_animations=False)  # of a BMP or GIF only 3 can be had
        pixels.set_shape([None, None, 3])
        if channels == 1:
            pixels = tf.image.rgb_to_grayscale(pixels)
        return tf.cast(tf.image.resize(pixels, [height, width], method), tf.float32)

    shape = tf.TensorSpec([height, width, channels], tf.float32)
    return tf.map_fn(pixels_of, checked, fn_output_signature=shape) * scale + offset


def _is_picture(tf: Any, strings: Any) -> Any:
    return tf.reduce_any([tf.equal(tf.strings.substr(strings, 0, len(mark)), mark) for mark in _MARKS], axis=0)
