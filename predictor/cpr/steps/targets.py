"""Write down how a published bundle is deployed: one function from a bundle and a target to the files that deploy it.

What a target is lies in ``deploy/<target>/`` as data: ``target.yaml``, and a folder of templates for every variant that its
machines take (``routine``: the service installs the packages; ``container``: an image serves the class, with the build context
of ``deploy/container/``). A new target is a new folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import cpr
from cpr import combinations, container, kit, resources
from cpr.bundle import Bundle, DeployConfig, PublishedBundle
from cpr.errors import BundleError, OutputError, TargetError
from cpr.explaining.deploying import deployed
from cpr.folders import filled
from cpr.machines import Machine, Runtime, Target, read_target
from cpr.manifest import EXAMPLES_NAME, MANIFEST_NAME, MODEL_DIR, FileEntry, Manifest, ai_platform_version, published_name
from cpr.storage import Location, open_storage, read
from cpr.templating import fill_document, fill_text

RECORD_NAME = "cpr-deploy-config.json"
"""The file beside the emitted ones that tells whose they are, so that a second run may replace them."""

_IMAGE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[0-9a-f]{64})?"
)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_PLACEHOLDER = "PROJECT_ID"


def at_uri(bundle: Bundle, uri: str) -> PublishedBundle:
    """A bundle on disk as it is, or will be, at ``uri``: the destination given to ``upload``, or the bundle's own folder there.

    The validation record beside it comes along where it is about this bundle.
    """
    place = str(Location.parse(uri)).rstrip("/")
    name = published_name(bundle.manifest)
    if not place.endswith("/" + name):
        place = f"{place}/{name}"
    return PublishedBundle(place, bundle.manifest, bundle.report())


def deploy_config(
    published: PublishedBundle,
    target: str,
    machine_type: str | None = None,
    *,
    project: str | None = None,
    region: str | None = None,
    image: str | None = None,
    bake_weights: bool = False,
    source: Bundle | None = None,
    explanation: Mapping[str, Any] | None = None,
) -> DeployConfig:
    """The files that deploy a published bundle on a machine of a target; nothing is written, nothing is sent.

    ``machine_type`` and ``region`` default to the target's own. Without a ``project`` the scripts ask for one when they run.
    ``image`` names the image of a container (default: in Artifact Registry, in ``region``). With ``bake_weights`` the model is
    in the image, else the service hands it to the container. A container needs the routine's packages: they are read from
    ``source``, the bundle on disk, or where there is none from the bundle's URI; both are checked against the manifest.
    ``explanation`` is the ``explanationSpec`` that ``cpr.explain`` makes of the bundle, for Vertex AI.

    ``TargetError`` for an unknown target, machine or region, a doubtful machine, and a bundle that the machine cannot take.
    """
    chosen = read_target(target)
    machine = _machine(chosen, machine_type)
    manifest = published.manifest
    _check(chosen, machine, published, project=project, image=image, baked=bake_weights)
    explained = deployed(target, explanation)
    notes = _notes(machine, published) + explained.notes
    values = (
        dict(explained.values) | _common(chosen, machine, published) | _place(chosen, machine, manifest, project, region, image)
    )
    files: dict[str, bytes] = dict(explained.files)
    if machine.variant == "routine":
        _refuse_container_options(machine, image, bake_weights)
        more, runtime_notes = _routine_values(chosen, published)
        values |= more
    else:
        more, context, runtime_notes = _container_values(published, source, bake_weights)
        values |= more
        files |= context
    notes += runtime_notes
    values["notes"] = "\n## Notes\n\n" + "\n".join(f"- {note}" for note in notes) if notes else ""
    for name, template in resources.read_texts(target, machine.variant).items():
        files[name] = _rendered(name, template, values).encode("utf-8")
    _refuse_combination(chosen, machine, files)
    if machine.variant == "container":
        for name, template in resources.read_texts("container").items():
            files[".dockerignore" if name == "dockerignore" else name] = fill_text(template, values).encode("utf-8")
    if project is None and any(
        _PLACEHOLDER.encode() in content for name, content in files.items() if name.endswith((".yaml", ".json"))
    ):
        notes += (
            f"No project was named: the documents say {_PLACEHOLDER}, and deploy.sh takes it: PROJECT=my-project ./deploy.sh.",
        )
    if chosen.retired:
        notes = (_retirement(chosen), *notes)
    scripts = frozenset(name for name in files if name.endswith(".sh"))
    return DeployConfig(target, machine.name, dict(sorted(files.items())), scripts, notes)


def write_config(config: DeployConfig, folder: Path | str) -> tuple[str, ...]:
    """Write the files of a config into ``folder``, whole or not at all, and return their paths relative to it.

    A folder that an earlier call wrote is replaced, as long as nobody changed or added a file; any other must be empty or not
    there. ``OutputError`` otherwise.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    record = {
        "target": config.target,
        "machine_type": config.machine_type,
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in config.files.items()},
    }
    files = {**config.files, RECORD_NAME: (json.dumps(record, indent=2) + "\n").encode()}
    with filled(folder) as place:
        for path, content in files.items():
            file = place.joinpath(*path.split("/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            if path in config.executable:
                # Who may read it may run it: the umask has decided who may read.
                mode = file.stat().st_mode
                file.chmod(mode | (mode & 0o444) >> 2)
    return tuple(sorted(files))


def _refuse_foreign(folder: Path) -> None:
    if not folder.is_dir():
        if folder.exists():
            raise OutputError(f"{folder} is not a folder.", "Name another place with -o.", str(folder))
        return
    entries = {str(path.relative_to(folder)): path for path in folder.rglob("*") if not path.is_dir()}
    if not entries:
        return
    remedy = "Name another folder with -o, or remove this one."
    try:
        known = json.loads((folder / RECORD_NAME).read_bytes())["files"]
        written = {str(Path(path)): digest for path, digest in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise OutputError(f"{folder} is not empty, and not written by `cpr deploy-config`.", remedy, str(folder)) from None
    weights = str(Path("bundle", MODEL_DIR)) + "/"  # fetched by build-image.sh
    for name, path in entries.items():
        if name == RECORD_NAME or name.startswith(weights):
            continue
        if name not in written or written[name] != hashlib.sha256(path.read_bytes()).hexdigest():
            raise OutputError(f"{name} was changed or added since `cpr deploy-config` wrote the folder.", remedy, str(folder))


def _machine(target: Target, machine_type: str | None) -> Machine:
    machine = target.machine(machine_type)
    if machine.doubtful:
        names = ", ".join(known.name for known in target.machines_for(machine.variant))
        raise TargetError(machine.warning, f"Choose one of {names}.", "--machine-type")
    return machine


def _check(
    target: Target, machine: Machine, published: PublishedBundle, *, project: str | None, image: str | None, baked: bool
) -> None:
    """Refuse what is known to fail on the target, whatever was validated before."""
    scheme = Location.parse(published.uri).scheme
    if scheme not in target.schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in target.schemes)
        here = f"{scheme}://" if scheme not in ("", "file") else "a folder"
        raise TargetError(
            f"{target.title} reads the bundle from {wanted}, not from {here}.",
            f"Upload it there, and say where with `--uri {target.schemes[0]}://BUCKET/PREFIX`.",
            "--uri",
        )
    labels = target.labels.problem(published.manifest.labels)
    if labels:
        raise TargetError(f"{target.title}: {labels}", f"Allowed are {target.labels.rule}.", "routine.yaml: labels")
    if project is not None and not _PROJECT.fullmatch(project):
        raise TargetError(f"{project!r} is not the id of a Google Cloud project.", "Give the id, not the name.", "--project")
    if image is not None and not _IMAGE.fullmatch(image):
        raise TargetError(f"{image!r} is not the name of an image.", "Write it as REGISTRY/PATH/NAME:TAG.", "--image")
    if not baked:
        _check_model(target, machine, published.manifest)


def _check_model(target: Target, machine: Machine, manifest: Manifest) -> None:
    size, count = sum(entry.size for entry in manifest.model_files), len(manifest.model_files)
    if machine.max_model_bytes is not None and size > machine.max_model_bytes:
        larger = target.machines_taking(size)
        raise TargetError(
            f"The model has {size} bytes; {target.title} allows {machine.max_model_bytes} on {machine.name}.",
            f"Choose a machine that takes more, such as {larger[0].name}." if larger else "Make the model smaller.",
            MODEL_DIR,
        )
    if target.limits.max_files is not None and count > target.limits.max_files:
        raise TargetError(
            f"The model has {count} files; {target.title} allows {target.limits.max_files}.",
            "Pack small artifacts into fewer files.",
            MODEL_DIR,
        )


def _refuse_container_options(machine: Machine, image: str | None, baked: bool) -> None:
    for option, given in (("--image", image is not None), ("--bake-weights", baked)):
        if given:
            raise TargetError(
                f"{option} is about a container, and {machine.name} runs the routine itself.",
                f"Leave {option} out, or choose a machine type that runs containers.",
                option,
            )


def _retirement(target: Target) -> str:
    """For the user of the command line; the templates of a retired target say it themselves."""
    successors = " or ".join(f"`--target {name}`" for name in target.successors)
    return f"{target.retired_note} The same bundle deploys with {successors}."


def _notes(machine: Machine, published: PublishedBundle) -> tuple[str, ...]:
    notes = []
    if machine.warning:
        notes.append(f"{machine.warning} The config names {machine.name}.")
    if published.report is None:
        notes.append("There is no validation record of the bundle: run `cpr validate` before it is deployed.")
    elif not published.report.ok:
        notes.append("The last validation found errors: see `cpr validate`.")
    return tuple(notes)


def _common(target: Target, machine: Machine, published: PublishedBundle) -> dict[str, Any]:
    manifest = published.manifest
    labels = dict(manifest.labels)
    route = f"/v1/models/{manifest.name}"
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "tool_version": cpr.__version__,
        "model_name": target.model_name(manifest.name),
        "version_name": target.version_name(manifest.version),
        "deployed_name": f"{manifest.name} {manifest.version}",
        "description": manifest.description or f"{manifest.name} {manifest.version}",
        "version_description": f"{manifest.name} {manifest.version} {manifest.digest}",
        "machine_type": machine.name,
        "labels": labels or None,
        "label_list": ",".join(f"{key}={value}" for key, value in labels.items()),
        "bundle_uri": published.uri,
        "model_uri": published.uri_of(MODEL_DIR),
        "prediction_class": str(manifest.predictor),
        "predict_route": f"{route}:predict",
        "health_route": route,
        "retired_note": target.retired_note,
        "successor_commands": "\n".join(
            f"    cpr deploy-config {shlex.quote(published.uri)} --target {name}" for name in target.successors
        ),
    }


def _place(
    target: Target, machine: Machine, manifest: Manifest, project: str | None, region: str | None, image: str | None
) -> dict[str, Any]:
    where = target.region(region, machine)
    tag = f"{manifest.name}:{ai_platform_version(manifest.version)}"
    path = (project or _PLACEHOLDER).replace(":", "/")  # a project of a domain: example.com:project
    return {
        "project": project,
        "project_or_placeholder": project or _PLACEHOLDER,
        "region": where,
        "given_image": image,
        "image_name": tag,
        "image": image or f"{where}-docker.pkg.dev/{path}/cpr/{tag}",
    }


def _routine_values(target: Target, published: PublishedBundle) -> tuple[dict[str, Any], tuple[str, ...]]:
    manifest = published.manifest
    runtime = target.runtime(manifest.runtime_version)
    if runtime is None:
        raise TargetError(f"{target.title} has no runtimes.", "Choose a machine type that runs containers.", "--machine-type")
    python, notes = _runtime_python(runtime, manifest)
    if runtime.warning:
        notes = (*notes, runtime.warning)
    values = {
        "package_uris": [published.uri_of(path) for path in manifest.packages],
        "runtime_version": runtime.version,
        "python_version": python,
    }
    return values, notes


def _runtime_python(runtime: Runtime, manifest: Manifest) -> tuple[str, tuple[str, ...]]:
    if manifest.python is None:
        return runtime.python, ()
    declared = ".".join(manifest.python.split(".")[:2])
    if declared in runtime.pythons:
        return declared, ()
    return runtime.python, (
        f"The routine declares Python {manifest.python}, which runtime {runtime.version} does not have: "
        f"the config names {runtime.python}.",
    )


def _container_values(
    published: PublishedBundle, source: Bundle | None, baked: bool
) -> tuple[dict[str, Any], dict[str, bytes], tuple[str, ...]]:
    """Values of the templates, and the build context beside them."""
    manifest = published.manifest
    base = container.base(manifest, published.report)
    wheel_name, wheel = kit.wheel()
    extras = "serve" if baked else "serve,gcs"
    top = [MANIFEST_NAME] + ([EXAMPLES_NAME] if manifest.has_examples else [])
    weights = [f"bundle/{MODEL_DIR}", f"/opt/bundle/{MODEL_DIR}"]
    model_uri = published.uri_of(MODEL_DIR)
    values = {
        "base_image": f"python:{base.python}-slim",
        "wheel_requirement": f"./wheels/{wheel_name}[{extras}]",
        "routine_sdist": f"/opt/bundle/{manifest.sdist}",
        "top_files": [*(f"bundle/{name}" for name in top), "/opt/bundle/"],
        "weights_layer": f"COPY {json.dumps(weights)}" if baked else "# No weights: the server fetches them when it starts.",
        "artifact_uri": None if baked else model_uri,
        "baked_uri": model_uri if baked else None,
        "weights_note": _weights_note(published, baked),
    }
    entries = [entry for entry in manifest.all_files if not entry.path.startswith(MODEL_DIR + "/")]
    context = {f"bundle/{path}": content for path, content in _contents(published, source, entries).items()}
    context[f"bundle/{MANIFEST_NAME}"] = manifest.to_json().encode("ascii")
    context[f"wheels/{wheel_name}"] = wheel
    context["requirements.txt"] = base.requirements.encode("utf-8")
    return values, context, base.notes


def _weights_note(published: PublishedBundle, baked: bool) -> str:
    if baked:
        return (
            f"The weights lie in the image, in a layer of their own: `build-image.sh` fetches them from `{published.uri}`. "
            "The server checks them against the manifest when it starts."
        )
    return (
        f"The weights are not in the image. The service copies them from `{published.uri_of(MODEL_DIR)}` and says where "
        "in `AIP_STORAGE_URI`; the server fetches them when it starts and checks them against the manifest in the image."
    )


def _contents(published: PublishedBundle, source: Bundle | None, entries: list[FileEntry]) -> dict[str, bytes]:
    """The files that go into an image, checked against the manifest."""
    if source is not None and source.manifest.digest != published.manifest.digest:
        raise BundleError(
            f"The bundle at {source.root} is not the one that is published: its digest differs.",
            "Name the bundle that was uploaded, or only its URI.",
            str(source.root),
        )
    if source is None:
        storage, prefix = open_storage(published.uri)
    found = {}
    for entry in entries:
        where = str(source.path(entry.path)) if source else published.uri_of(entry.path)
        try:
            content = source.path(entry.path).read_bytes() if source else read(storage, prefix + entry.path, entry.size)
        except FileNotFoundError:
            content = None
        if content is None or len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(
                f"A file of the bundle is {'missing' if content is None else 'not what its manifest says'}: {entry.path}.",
                "Build the bundle anew, or name the bundle on disk and give its place with --uri.",
                where,
            )
        found[entry.path] = content
    return found


def _refuse_combination(target: Target, machine: Machine, files: Mapping[str, bytes]) -> None:
    """The last look at a version: nothing is written that the service would refuse for what it combines."""
    if "version.yaml" in files:
        for problem in combinations.problems(target.name, yaml.safe_load(files["version.yaml"]), machine.endpoint):
            raise TargetError(
                f"{target.title} takes no such version. {problem}", "Choose another machine type.", "version.yaml"
            )


def _rendered(name: str, template: str, values: Mapping[str, Any]) -> str:
    if name.endswith(".yaml"):
        document = fill_document(yaml.safe_load(template), values)
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    if name.endswith(".json"):
        return json.dumps(fill_document(json.loads(template), values), indent=2, ensure_ascii=False) + "\n"
    return fill_text(template, values)
