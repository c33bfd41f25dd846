"""Which MetaGraph and which signature: the platform's rules, on names alone. Standard library only.

The rules are those of Google's prediction library (``frameworks/tf_prediction_lib.py`` in gcloud 528.0.0): it loads the
MetaGraph with the one tag ``serve``, and takes the signature that the request names, else the only one, else
``serving_default``. Beyond it, the only MetaGraph of a model is taken whatever its tags are.
"""

from typing import Any, Collection, Iterable, Optional, Sequence, Tuple

from cpr.errors import ModelError, RequestError

Tags = Tuple[str, ...]

DEFAULT_SIGNATURE = "serving_default"
NO_SIGNATURE_REMEDY = "Export it with one: tf.saved_model.save(model, path, signatures=…)."

_SERVE = {"serve"}


def choose_tags(found: Sequence[Tags], wanted: Optional[Iterable[str]], path: str) -> Tags:
    """The tags of the MetaGraph to load: those ``wanted``, else of the only one, else ``serve`` alone.

    ``found`` has the tags of each MetaGraph of the SavedModel at ``path``. :class:`~cpr.errors.ModelError` where no
    MetaGraph has exactly these tags, or more than one has.
    """
    if wanted is not None:
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        fit = [tags for tags in found if set(tags) == set(wanted)]
    else:
        fit = list(found) if len(found) == 1 else [tags for tags in found if set(tags) == _SERVE]
    if len(fit) == 1:
        return fit[0]
    there = "; ".join(map(_spelt, found))
    if fit:
        raise ModelError(
            "{} MetaGraphs of the SavedModel {} have the tags {}.".format(len(fit), path, _spelt(fit[0])),
            "Export it again with other tags for each.",
            path,
        )
    if wanted is not None:
        what = "has no MetaGraph with exactly the tags {}; the tags are: {}".format(_spelt(wanted), there)
    else:
        what = "has {} MetaGraphs and none with the tag serve alone; the tags are: {}".format(len(found), there)
    raise ModelError(
        "The SavedModel {} {}.".format(path, what),
        "Name one: tags in routine.yaml, --tags on the command line, or tags= in Python.",
        path,
    )


def choose_signature(names: Collection[str], requested: Any, default: Optional[str] = None) -> str:
    """The signature to run: the one ``requested``, else ``default``, else the only one, else ``serving_default``.

    An empty text counts as none, as on the platform. :class:`~cpr.errors.RequestError` where there is no such signature,
    :class:`~cpr.errors.ModelError` where there is none at all.
    """
    if not names:
        raise ModelError("The model has no signature.", NO_SIGNATURE_REMEDY)
    unnamed = requested is None or requested == ""
    name = default if unnamed else requested
    if name is None:
        name = next(iter(names)) if len(names) == 1 else DEFAULT_SIGNATURE
    if isinstance(name, str) and name in names:
        return name
    known = ", ".join(names)
    if unnamed:
        raise RequestError(
            "The model has several signatures and none is called serving_default: {}.".format(known),
            "Name one: signature_name in the request, --signature on the command line, or signature in routine.yaml.",
            "signature_name",
        )
    raise RequestError(
        "The model has no signature {!r}; it has {}.".format(requested, known),
        "Set signature_name to one of these, or leave it out.",
        "signature_name",
    )


def _spelt(tags: Iterable[str]) -> str:
    return ", ".join(tags) or "(none)"
