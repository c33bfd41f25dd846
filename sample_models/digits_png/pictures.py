"""A PNG picture to the grid of ink that the model was trained on.

Training and serving both come through here: a model is only as good as the agreement between the two.
"""

import io

import numpy as np
from PIL import Image, ImageChops

SIDE = 8  # of the grid
LARGEST = 4096  # pixels a side: more would cost memory and tell nothing more about a digit
FAINT = 64  # of 255: less ink than this is no part of the digit


def grid(png):
    """Ink of the digit in the bytes ``png``: float32 array (8, 8), 0 for paper to 1 for full ink.

    The digit may be dark on light or light on dark, of any size and anywhere in the picture; it is cut out and scaled.
    Transparent pixels count as white. Raises ``ValueError`` for bytes that are no PNG, or a picture that is too large.
    """
    ink = _ink(_gray(png))
    return np.asarray(_cut_out(ink).resize((SIDE, SIDE), Image.BOX), np.float32) / 255


def _gray(png):
    try:
        picture = Image.open(io.BytesIO(png), formats=["PNG"])
        if max(picture.size) > LARGEST:
            raise ValueError("the picture is {}x{} pixels, and {} a side is the most".format(*picture.size, LARGEST))
        picture = picture.convert("RGBA")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow reports damage in all three ways
        raise ValueError("no PNG that can be read ({})".format(str(error).split(" <")[0])) from None
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("L")


def _ink(gray):
    """The picture with paper black and ink bright. Paper is what the corners show."""
    right, bottom = gray.width - 1, gray.height - 1
    corners = sorted(gray.getpixel(corner) for corner in [(0, 0), (right, 0), (0, bottom), (right, bottom)])
    return gray if corners[1] + corners[2] < 256 else ImageChops.invert(gray)


def _cut_out(ink):
    """The smallest square around the digit; the whole picture where there is none."""
    box = ink.point(lambda brightness: 255 if brightness >= FAINT else 0).getbbox() or (0, 0, *ink.size)
    width, height = box[2] - box[0], box[3] - box[1]
    square = Image.new("L", (max(width, height),) * 2, 0)
    square.paste(ink.crop(box), ((square.width - width) // 2, (square.height - height) // 2))
    return square
