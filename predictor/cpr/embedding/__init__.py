"""Ready-made parts for ``cpr.embed``: functions of whole batches of tensors, for inside the graph of a SavedModel.

::

    from cpr import embedding

    def preprocess(image_bytes):
        return embedding.decode_image(embedding.picture_bytes(image_bytes), 28, 28, channels=1)

    cpr.embed("model", "servable", preprocess, embedding.labels(["cat", "dog"]), examples="examples.jsonl", python=routine)

What a part refuses fails the whole request, as anything in a graph does; the error names the first row that is wrong.
"""

from cpr.embedding.answers import labels as labels
from cpr.embedding.pictures import decode_image as decode_image
from cpr.embedding.pictures import picture_bytes as picture_bytes
from cpr.embedding.texts import decode_b64 as decode_b64
from cpr.embedding.texts import lookup as lookup

__all__ = ["decode_b64", "decode_image", "labels", "lookup", "picture_bytes"]
