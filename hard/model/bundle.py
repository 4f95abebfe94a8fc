"""The model bundle on disk: a folder with `hard.json`, tokenizer, weights, compiled scorer and model card.

No pickle in it. Reads, verifies and writes; knows what the parts mean, runs none of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hard.model.prompts import PromptSpec, prompt_style
from hard.motion import features
from hard.motion.mounting import Frame
from hard.motion.windows import Grid

FORMAT = 1
MANIFEST = "hard.json"
TOKENIZER = "spiece.model"
GRAPH = "model.onnx"
WEIGHTS = ("config.json", "model.safetensors")
CARD = "README.md"


class BundleError(ValueError):
    """A bundle that can't be used; the message is one sentence."""


class WindowSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The window that the weights were trained on."""

    length_s: float
    rate_hz: float
    unit: str = "m/s2"


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights come from, for people and for `hard bundle show`."""

    command: str
    base: str
    data: str
    subjects: dict[str, list[str]]
    seed: int
    precision: str
    versions: dict[str, str]
    metrics: dict[str, Any]
    epochs: float = 0.0  # that the weights have seen
    refit: bool = False  # on the validation subjects too, once they had chosen the epoch and the temperature
    windows: dict[str, int] = {}  # of each label that the weights learnt from, without augmented copies


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`hard.json`: what makes the weights mean something. `files` maps each file to its sha256."""

    format: int
    name: str
    labels: tuple[str, ...]
    window: WindowSpec
    prompt: PromptSpec
    up: tuple[float, float, float]
    forward: tuple[float, float, float]
    temperature: float
    training: Training
    files: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's folder and its manifest, checked."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> str:
        """Name and digest: tells two bundles of one name apart in a label's payload."""
        digest = self.manifest.files.get(WEIGHTS[1], "")
        return f"{self.manifest.name}-{digest[:8]}"

    def usual(self) -> Frame:
        """The mounting assumed until a device has shown its own."""
        up, forward = (np.asarray(axis, dtype=np.float32) for axis in (self.manifest.up, self.manifest.forward))
        return Frame(up, forward, calibrated=False)

    def grid(self, **rules: float) -> Grid:
        """The grid of the bundle's windows under the given rules."""
        return Grid(self.manifest.window.length_s, self.manifest.window.rate_hz, **rules)


def default_path() -> Path:
    """The bundle that ships inside the package."""
    return Path(str(files("hard") / "bundles" / "default"))


def read(path: Path | str, *, only: tuple[str, ...] | None = None) -> Bundle:
    """Reads and verifies a bundle, checksums included; `only` limits the checksums to the files that will be used.

    Raises BundleError.
    """
    path = Path(path)
    manifest = _manifest(path)
    wanted = manifest.files if only is None else [name for name in (*only, TOKENIZER) if name in manifest.files]
    for name in wanted:
        problem = _checksum_problem(path, name, manifest.files[name])
        if problem:
            raise BundleError(problem)
    for name in (TOKENIZER, *(only or ())):
        if name not in manifest.files:
            raise BundleError(f"{path}: {MANIFEST} lists no {name}")
    return Bundle(path, manifest)


def verify(path: Path | str) -> list[str]:
    """Every problem of a bundle, a sentence each; empty when it is sound."""
    path = Path(path)
    try:
        manifest = _manifest(path)
    except BundleError as error:
        return [str(error)]
    problems = [p for name, digest in manifest.files.items() if (p := _checksum_problem(path, name, digest))]
    missing = [name for name in (TOKENIZER, GRAPH, *WEIGHTS) if name not in manifest.files]
    problems += [f"{path}: {MANIFEST} lists no {name}" for name in missing]
    present = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()} - {MANIFEST}
    problems += [f"{path / name} is not listed in {MANIFEST}" for name in sorted(present - set(manifest.files))]
    return problems


def write(path: Path | str, manifest: Manifest) -> Bundle:
    """Seals the files that lie in `path`: takes their checksums and writes `hard.json` last."""
    path = Path(path)
    parts = [p for p in sorted(path.rglob("*")) if p.is_file() and p != path / MANIFEST]
    digests = {p.relative_to(path).as_posix(): _sha256(p) for p in parts}
    manifest = msgspec.structs.replace(manifest, files=digests)
    _check(path, manifest)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (path / MANIFEST).write_bytes(text + b"\n")
    return Bundle(path, manifest)


def _manifest(path: Path) -> Manifest:
    if not path.is_dir():
        raise BundleError(f"{path} is not a folder")
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise BundleError(f"{path}: {MANIFEST} can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST} is not a manifest: {error}") from error
    _check(path, manifest)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    """What can be told without the weights."""
    problem = None
    if manifest.format != FORMAT:
        problem = f"has format {manifest.format}, this version of HARD reads format {FORMAT}"
    elif len(set(manifest.labels)) != len(manifest.labels) or len(manifest.labels) < 2:
        problem = "needs at least two labels, each once"
    elif manifest.window.unit != "m/s2":
        problem = f"has windows in {manifest.window.unit!r}, this version of HARD knows only m/s2"
    elif not manifest.temperature > 0:
        problem = "has a temperature that is not above zero"
    elif any(abs(sum(c * c for c in axis) - 1) > 1e-3 for axis in (manifest.up, manifest.forward)):
        problem = "has a usual mounting that is not two unit vectors"
    elif unknown := set(manifest.prompt.features) - set(features.names()):
        problem = f"asks for unknown features: {', '.join(sorted(unknown))}"
    elif any(Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name for name in manifest.files):
        problem = "lists a file outside its folder"
    else:
        try:
            prompt_style(manifest.prompt)
            Grid(manifest.window.length_s, manifest.window.rate_hz)
        except ValueError as error:
            problem = str(error)
    if problem:
        raise BundleError(f"{path}: {MANIFEST} {problem}")


def _checksum_problem(path: Path, name: str, digest: str) -> str | None:
    try:
        if _sha256(path / name) == digest:
            return None
    except OSError as error:
        return f"{path / name} can't be read: {error.strerror}"
    return f"{path / name} is not the file that {MANIFEST} describes (sha256 differs)"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
