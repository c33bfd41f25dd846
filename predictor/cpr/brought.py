"""What a target brings beside what a routine declares: the packages of the service's runtime, or of the image that we make."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from cpr.container import TENSORFLOWS, needs_tensorflow
from cpr.isolation import Provided
from cpr.kit import DISTRIBUTION
from cpr.machines import Machine, Runtime, Target
from cpr.manifest import Manifest
from cpr.preinstalled import brings

_SERVER = (f"{DISTRIBUTION}[serve]",)
_FETCHES = (f"{DISTRIBUTION}[gcs]", f"{DISTRIBUTION}[s3]")  # in the image where it fetches the weights at its start


def brought(
    target: Target, machine: Machine, runtime: Runtime | None, manifest: Manifest, trees: Mapping[str, ast.Module]
) -> Provided:
    """``trees`` are the routine's parsed sources: an image gets TensorFlow where they import it, named or not."""
    silently = tuple(sorted(TENSORFLOWS)) if needs_tensorflow(manifest) or _imports_tensorflow(trees) else ()
    if machine.variant == "container":
        return Provided("the server in the image", silently, _SERVER, _FETCHES)
    by = f"{target.title}'s runtime {runtime.version}" if runtime is not None else f"the runtimes of {target.title}"
    return Provided(by, silently, *brings(target.name))


def _imports_tensorflow(trees: Mapping[str, ast.Module]) -> bool:
    names = (name for tree in trees.values() for node in ast.walk(tree) for name in _imported(node))
    return any(name.partition(".")[0] in ("tensorflow", "keras") for name in names)


def _imported(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Import):
        return tuple(alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return (node.module,)
    return ()
