"""``cpr doctor`` in environments made for it: other distributions, tools, variables and folders than this machine's."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import packaging
import pytest

import cpr

STATUSES = {"ok", "missing", "broken", "note"}


def doctor(environment=None, *arguments, status=0, path=None):
    """The checks by name, run in a process with exactly ``environment`` beside what Python itself needs."""
    variables = {"PATH": path if path is not None else os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    command = [sys.executable, "-m", "cpr", "doctor", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=variables | (environment or {}))
    assert done.returncode == status, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "cpr.doctor/1"
    assert list(document) == ["schema", "checks"]
    for check in document["checks"]:
        assert list(check) == ["name", "status", "detail", "remedy"]
        assert check["status"] in STATUSES
        assert check["detail"]
        assert check["remedy"] or check["status"] == "ok", "what is not fine has a remedy"
    checks = {check["name"]: check for check in document["checks"]}
    assert len(checks) == len(document["checks"])
    return checks


def distribution(folder, name, version):
    """A distribution's metadata as pip leaves it, found before the real one."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def program(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_this_installation_is_fine():
    checks = doctor()
    assert checks["python"]["detail"].startswith(sys.version.split()[0])
    assert checks["cpr"]["detail"].startswith(cpr.__version__)
    for name in ("google-crc32c", "PyYAML", "packaging", "pathspec", "pip", "setuptools", "vermin"):
        assert checks[name] == {"name": name, "status": "ok", "detail": metadata.version(name), "remedy": ""}
    assert f"botocore {metadata.version('botocore')}" in checks["extra s3"]["detail"]
    assert {"extra tensorflow", "extra gcs", "extra s3", "extra serve"} <= checks.keys()


def test_text_is_for_people():
    done = subprocess.run([sys.executable, "-m", "cpr", "doctor"], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[-1] == "cpr itself is fine."
    assert any(line.startswith("ok       python ") for line in lines)
    missing = [number for number, line in enumerate(lines) if line.startswith("missing")]
    assert all("fix: " in lines[number + 1] for number in missing)


def test_a_core_requirement_too_old_is_broken(tmp_path):
    folder = distribution(tmp_path, "vermin", "0.1")
    checks = doctor({"PYTHONPATH": str(folder)}, status=1)
    assert checks["vermin"]["status"] == "broken"
    assert "0.1 is installed" in checks["vermin"]["detail"]
    assert checks["vermin"]["remedy"] == "pip install 'vermin>=1.6'"


def test_an_extra_too_old_is_missing_and_no_failure(tmp_path):
    folder = distribution(tmp_path, "botocore", "1.0")
    check = doctor({"PYTHONPATH": str(folder)})["extra s3"]
    assert check["status"] == "missing"
    assert "botocore: 1.0 is installed" in check["detail"]
    assert check["remedy"] == "pip install 'cpr-kit[s3]'"


def test_an_extra_that_is_not_there_is_missing(tmp_path):
    """In an interpreter that sees cpr and its core requirements alone."""
    site = tmp_path / "site"
    for name in ("google-crc32c", "PyYAML", "packaging", "pathspec", "pip", "setuptools", "vermin"):
        distribution(site, name, metadata.version(name))
    own = distribution(site, "cpr_kit", cpr.__version__) / f"cpr_kit-{cpr.__version__}.dist-info" / "METADATA"
    own.write_text(metadata.distribution("cpr-kit").read_text("METADATA"))
    for module in (Path(cpr.__file__).parent, Path(packaging.__file__).parent):
        (site / module.name).symlink_to(module)
    # -S leaves site-packages out; the code is what `python -m cpr` runs.
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from cpr.cli import main; sys.exit(main(['doctor', '--json']))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for extra, package in (
        ("tensorflow", "tensorflow"),
        ("gcs", "google-auth"),
        ("s3", "botocore"),
        ("serve", "uvicorn"),
    ):
        assert checks[f"extra {extra}"]["status"] == "missing"
        assert f"{package}: not installed" in checks[f"extra {extra}"]["detail"]
        assert checks[f"extra {extra}"]["remedy"] == f"pip install 'cpr-kit[{extra}]'"


def test_the_foreign_distribution_is_named(tmp_path):
    assert "foreign cpr" not in doctor()
    checks = doctor({"PYTHONPATH": str(distribution(tmp_path, "cpr", "0.1"))}, status=1)
    assert checks["foreign cpr"]["status"] == "broken"
    assert "cpr 0.1" in checks["foreign cpr"]["detail"]
    assert "pip uninstall" in checks["foreign cpr"]["remedy"]


def test_another_version_than_installed_is_broken(tmp_path):
    folder = distribution(tmp_path, "cpr_kit", "9.9")
    checks = doctor({"PYTHONPATH": str(folder)}, status=1)
    assert checks["cpr"]["status"] == "broken"
    assert "9.9" in checks["cpr"]["detail"]


def test_tools_that_are_not_there(tmp_path):
    checks = doctor({"HOME": str(tmp_path)}, path=str(tmp_path))
    for name in ("gcloud", "docker"):
        assert checks[name]["status"] == "missing", checks[name]


def test_tools_that_are_there(tmp_path):
    tools = tmp_path / "bin"
    program(tools, "gcloud", "exit 1")  # only looked for: it takes seconds to answer
    program(tools, "docker", '[ "$1" = --version ] && echo Docker version 28.0.1, build x || exit 1')
    checks = doctor({"HOME": str(tmp_path)}, path=f"{tools}:/bin:/usr/bin")
    assert checks["gcloud"]["status"] == "ok"
    assert checks["docker"]["status"] == "note", "the client is there, and no daemon answers"
    program(tools, "docker", "echo 28.0.1")
    checks = doctor({"HOME": str(tmp_path)}, path=f"{tools}:/bin:/usr/bin")
    assert checks["docker"]["status"] == "ok"


def test_isolation_and_memory_are_what_the_machine_allows():
    """Tried here with util-linux's own unshare and by hand, not with the code that cpr uses."""
    allowed = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True, check=False).returncode == 0
    allowed |= subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    reset = subprocess.run(["sh", "-c", "echo 5 > /proc/self/clear_refs"], capture_output=True, check=False).returncode == 0
    checks = doctor()
    assert checks["network isolation"]["status"] == ("ok" if allowed else "note")
    assert checks["memory measuring"]["status"] == ("ok" if reset else "note")


@pytest.mark.parametrize(
    ("environment", "status", "said"),
    [
        ({}, "missing", "no application default"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "{}/absent.json"}, "missing", "no such file"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "{}/key.json"}, "ok", "key.json"),
        ({"CLOUDSDK_CONFIG": "{}/sdk"}, "ok", "application_default_credentials.json"),
        ({"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}, "note", "127.0.0.1:1"),
    ],
)
def test_gcs_credentials(tmp_path, environment, status, said):
    (tmp_path / "key.json").write_text('{"private_key": "hush"}')
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "application_default_credentials.json").write_text('{"refresh_token": "hush"}')
    given = {key: value.format(tmp_path) for key, value in environment.items()}
    check = doctor({"HOME": str(tmp_path)} | given)["credentials gs://"]
    assert check["status"] == status
    assert said in check["detail"]
    assert "hush" not in json.dumps(check)


def test_s3_credentials(tmp_path):
    name = "credentials s3://"
    assert doctor({"HOME": str(tmp_path)})[name]["status"] == "missing"
    check = doctor({"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "AKIAHUSH"})[name]
    assert check["status"] == "ok"
    assert "HUSH" not in json.dumps(check)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[x]\naws_secret_access_key = hush\n")
    check = doctor({"HOME": str(tmp_path), "AWS_PROFILE": "x"})[name]
    assert check["detail"] == f"{tmp_path}/.aws/credentials, profile x"


def test_scratch_space_is_that_of_tmpdir(tmp_path):
    check = doctor({"TMPDIR": str(tmp_path)})["scratch space"]
    assert check["detail"].endswith(f"free in {tmp_path}")


def test_nothing_heavy_is_imported():
    command = [sys.executable, "-X", "importtime", "-m", "cpr", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "cpr" in imported
    assert not imported & {"tensorflow", "numpy", "google", "botocore", "uvicorn", "yaml"}


def test_a_home_that_may_not_be_entered_is_no_failure(tmp_path):
    """As under `su` without its own environment. Root may enter everything: os.access says no in its place."""
    code = """
import os, pathlib, sys
allowed, is_file = os.access, pathlib.Path.is_file
def refuse(path):
    if "closed" in str(path):
        raise PermissionError(13, "Permission denied", str(path))
os.access = lambda path, *rest, **more: "closed" not in str(path) and allowed(path, *rest, **more)
pathlib.Path.is_file = lambda path: refuse(path) or is_file(path)
pathlib.Path.is_dir = lambda path: refuse(path) or os.path.isdir(path)
from cpr.cli import main
sys.exit(main(["doctor"]))
"""
    closed = str(tmp_path / "closed")
    variables = {"HOME": closed, "CLOUDSDK_CONFIG": closed, "AWS_CONFIG_FILE": closed}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cpr itself is fine." in done.stdout
