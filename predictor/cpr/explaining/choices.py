"""What is explained and how, where that is left to the model, and whether a choice fits it."""

from __future__ import annotations

from collections.abc import Sequence

from cpr.errors import TargetError, UsageError
from cpr.explaining.features import IMAGE, Feature
from cpr.explaining.values import INTEGRATED_GRADIENTS, SAMPLED_SHAPLEY, XRAI
from cpr.resources import suggestion
from cpr.saved_model import Signature, TensorInfo


def explained_output(signature: Signature, asked: str | None) -> str:
    """The output asked for, else the only one of numbers; ``UsageError`` where there is none, or more than one."""
    numeric = [name for name, info in signature.outputs.items() if info.kind is None and info.dtype not in ("string", "bool")]
    floats = [name for name in numeric if "float" in (signature.outputs[name].dtype or "")] or numeric
    if asked is not None:
        if asked not in numeric:
            problem = "holds no numbers" if asked in signature.outputs else "is none of the signature's"
            raise UsageError(
                f"The output {asked!r} {problem}.", suggestion(asked, numeric, "Those with numbers are"), "--output-name"
            )
        return asked
    if len(floats) == 1:
        return floats[0]
    what = "several outputs of numbers, and one is explained" if floats else "no output of numbers"
    remedy = f"Name one with --output-name: {', '.join(floats)}." if floats else "Choose another signature with --signature."
    raise UsageError(f"The signature has {what}.", remedy, "--output-name")


def check_labels(labels: Sequence[str], output: TensorInfo) -> None:
    """``UsageError`` where an output has another number of values than there are labels."""
    width = output.shape[-1] if output.shape is not None and len(output.shape) == 2 else None
    if labels and width is not None and width != len(labels):
        raise UsageError(f"There are {len(labels)} labels for {width} values.", "Give one for each.", "--labels")


def method(asked: str | None, features: Sequence[Feature]) -> str:
    """The method asked for, else integrated gradients where every input has a gradient, and sampled Shapley elsewhere.

    ``TargetError`` says why a method does not fit.
    """
    discrete = [f"{each.name!r} ({each.tensor.dtype})" for each in features if not each.differentiable]
    if asked is None:
        return SAMPLED_SHAPLEY if discrete else INTEGRATED_GRADIENTS
    if asked in (INTEGRATED_GRADIENTS, XRAI) and discrete:
        raise TargetError(
            f"{asked} needs gradients, and there is none for {', '.join(discrete)}.",
            "Take --method sampled-shapley, or export a signature that takes what comes behind the embedding.",
            "--method",
        )
    if asked == XRAI and not any(each.modality == IMAGE for each in features):
        raise TargetError(
            "XRAI explains images, and no input is one.", "Take integrated-gradients, or say --modality NAME=image.", "--method"
        )
    return asked
