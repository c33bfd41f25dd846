"""Times uploads of a bundle against a sink, cpr's and other clients': README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clients import CLIENTS, MISSING

HERE = Path(__file__).resolve().parent
CPR = Path(sys.executable).parent / "cpr"
PREDICTOR = """
class Nothing:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return instances
"""
RECORD = """
import pathlib, sys
from cpr.bundle import Bundle
from cpr.report import Report
digest = Bundle.open(sys.argv[1]).manifest.digest
report = Report(digest, "ai-platform", "mls1-c1-m2", (), {}, {})
pathlib.Path(sys.argv[1], "validation.json").write_text(report.to_text())
"""
SIZES = {"200 files of 50 KB": [50_000] * 200, "One file of 450 MB": [450_000_000]}
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, those of the processor, peak KiB: of the transfer alone, and of the whole process."""

    transfer: tuple[float, float, float] | None
    whole: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sink:
    port: int

    def forget(self) -> None:
        self._ask("DELETE")

    def arrived(self) -> tuple[int, int, int]:
        """How many requests, objects, and bytes in them."""
        told = self._ask("GET")
        return told["requests"], len(told["sizes"]), sum(told["sizes"].values())

    def _ask(self, method: str) -> dict:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/-/arrived", method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="rounds that count, after one that does not")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="cpr-bench-") as text:
        folder = Path(text)
        for title, sizes in SIZES.items():
            bundle = made(folder / f"{len(sizes)}", sizes)
            for delay in (0.0, 0.03):
                print(f"## {title}, answers {f'after {delay * 1000:.0f} ms' if delay else 'at once'}\n", flush=True)
                with sink(delay) as server:
                    show(measured(bundle, sizes, server, folder, rounds))
                    if not delay:
                        again(bundle, server, folder)
            shutil.rmtree(bundle.parent)


def made(folder: Path, sizes: Sequence[int]) -> Path:
    """A bundle whose model is files of random bytes, with the record of a validation beside it."""
    model = folder / "routine" / "model"
    model.mkdir(parents=True)
    (folder / "routine" / "routine.yaml").write_text("name: sent\nversion: 1.0.0\npredictor: predictor.Nothing\n")
    (folder / "routine" / "predictor.py").write_text(PREDICTOR)
    (folder / "routine" / "examples.jsonl").write_text('{"instances": [1], "expect": {"predictions": [1]}}\n')
    for number, size in enumerate(sizes):
        with open(model / f"{number:03}.bin", "wb") as file:
            for start in range(0, size, MEBIBYTE):
                file.write(os.urandom(min(MEBIBYTE, size - start)))
    subprocess.run([CPR, "build", folder / "routine", "-o", folder / "bundle"], check=True, capture_output=True)
    (bundle,) = (folder / "bundle").iterdir()
    subprocess.run([sys.executable, "-c", RECORD, bundle], check=True)
    return bundle


@contextmanager
def sink(delay: float) -> Iterator[Sink]:
    process = subprocess.Popen([sys.executable, HERE / "sink.py", str(delay)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measured(bundle: Path, sizes: Sequence[int], server: Sink, folder: Path, rounds: int) -> Mapping[str, Figures]:
    """Medians, the clients in turn; each upload is compared with what has arrived."""
    words = {name: [sys.executable, HERE / "clients.py", name, bundle, server.port] for name in CLIENTS}
    words["cpr upload"] = [CPR, "upload", bundle, "gs://bench/sent"]
    if gcloud := shutil.which("gcloud"):
        words["gcloud storage cp -r"] = [gcloud, "storage", "cp", "-r", bundle / "model", "gs://bench/sent/"]
    else:
        print("gcloud is not installed: left out.\n")
    found: dict[str, list[Figures]] = {name: [] for name in words}
    aborted: dict[str, int] = {}
    for number in range(rounds + 1):
        for name in [name for name in words if name in found]:
            server.forget()
            status, error, figures = run(words[name], environment(server, folder))
            if status == MISSING:
                print(f"{name}: {error}; left out.\n")
                del found[name]
                continue
            if figures.transfer is not None and status < 0:
                aborted[name] = aborted.get(name, 0) + 1
            elif status:
                raise SystemExit(f"{name} ended with status {status}:\n{error[-1000:]}")
            check(name, sizes, server)
            if number:
                found[name].append(figures)
    for name, count in aborted.items():
        print(f"{name}: {count} of {rounds + 1} processes aborted at their end, with everything sent.\n")
    return {name: middle(each) for name, each in found.items()}


def run(words: Sequence[object], environment: Mapping[str, str]) -> tuple[int, str, Figures]:
    """Status, what was said of errors, and what it took."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen([str(word) for word in words], stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = status = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said, error = output.read().decode(), errors.read().decode()
    transfer = tuple(json.loads(said)) if said.startswith("[") else None
    return status, error.strip(), Figures(transfer, (wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))


def environment(server: Sink, folder: Path) -> dict[str, str]:
    """Nothing of the user's accounts and settings, and no way but to the sink."""
    dropped = ("AWS_", "BOTO_", "CLOUDSDK_", "GOOGLE_", "PYTHON", "STORAGE_")
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(dropped)}
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return (
        kept
        | nowhere
        | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
        | {
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"http://127.0.0.1:{server.port}/storage/v1/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        }
    )


def check(name: str, sizes: Sequence[int], server: Sink) -> None:
    """What has arrived is all the files; cpr sends more than those."""
    requests, objects, size = server.arrived()
    if name.startswith("SHA-256"):
        assert requests == 0
    elif name.startswith("cpr"):
        assert objects > len(sizes) and size > sum(sizes), f"{name}: {objects} objects of {size} bytes arrived"
    else:
        assert (objects, size) == (len(sizes), sum(sizes)), f"{name}: {objects} objects of {size} bytes arrived"


def again(bundle: Path, server: Sink, folder: Path) -> None:
    """What is published already is sent again, in one request."""
    server.forget()
    counts = [0]
    for _ in range(2):
        run([sys.executable, HERE / "clients.py", "cpr, gs", bundle, server.port], environment(server, folder))
        counts.append(server.arrived()[0])
    print(f"cpr made {counts[1]} requests, and {counts[2] - counts[1]} to upload the same again.\n", flush=True)
    assert counts[2] - counts[1] == 1


def middle(each: Sequence[Figures]) -> Figures:
    transfers = [figures.transfer for figures in each if figures.transfer is not None]
    return Figures(medians(transfers) if transfers else None, medians([figures.whole for figures in each]))


def medians(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    wall, own, peak = (statistics.median(column) for column in zip(*rows, strict=True))
    return wall, own, peak


def show(figures: Mapping[str, Figures]) -> None:
    transfers = {name: each.transfer for name, each in figures.items() if each.transfer is not None}
    print(table("transfer alone", transfers, "cpr, gs"))
    print(table("whole process", {name: each.whole for name, each in figures.items()}, "cpr upload"), flush=True)


def table(what: str, rows: Mapping[str, tuple[float, float, float]], base: str) -> str:
    """As Markdown, with the ratios to ``base``."""
    wall, own, _ = rows[base]
    head = [f"| {what} | seconds | ratio | of the processor | ratio | peak MiB |", "| --- | --- | --- | --- | --- | --- |"]
    body = [
        f"| {name} | {row[0]:.3f} | {row[0] / wall:.2f} | {row[1]:.3f} | {row[1] / own:.2f} | {row[2] / 1024:.0f} |"
        for name, row in rows.items()
    ]
    return "\n".join([*head, *body, ""])


if __name__ == "__main__":
    main()
