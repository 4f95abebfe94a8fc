"""The model bundle on disk: a folder with `hard.json`, tokenizer, weights, compiled scorer and model card.

No pickle in it. Reads, verifies and writes bundles; runs none of their parts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from hard.errors import HardError
from hard.model import familiarity
from hard.model.familiarity import FamiliaritySpec
from hard.model.figures import TrainingMetrics
from hard.model.prompts import PromptSpec, prompt_style
from hard.motion import features
from hard.motion.mounting import Frame
from hard.motion.windows import grid_points

FORMAT = 3
MANIFEST = "hard.json"
TOKENIZER = "spiece.model"
Precision = Literal["fp32", "int8"]
SplitKind = Literal["subject", "time", "random"]  # what divided the data into training and test
GRAPHS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}  # the compiled scorer
WEIGHTS = ("config.json", "model.safetensors")
CARD = "README.md"
SHIPPED = Path(str(files("hard") / "bundles"))  # in the package, a folder each
DEFAULT = "default"
PARENTS = {"on foot": ("Walking", "Upstairs", "Downstairs"), "still": ("Sitting", "Standing", "Lying")}
STAY, TEMPERING = 0.95, 0.25  # of a bundle that has none; fitted as those of the default bundle are, by subject


class BundleError(HardError):
    """A bundle that can't be used; the message is one sentence."""

    exit_code = 2


class WindowSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The window that the weights were trained on."""

    length_s: float
    rate_hz: float
    unit: str = "m/s2"

    @property
    def points(self) -> int:
        """How many samples a window has."""
        return grid_points(self.length_s, self.rate_hz)


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights come from, for people and for `hard bundle show`."""

    command: str
    base: str
    data: str
    subjects: dict[str, list[str]]
    split: SplitKind
    seed: int
    precision: str
    versions: dict[str, str]
    metrics: TrainingMetrics
    epochs: float = 0.0  # of training behind the weights
    refit: bool = False  # also on the validation subjects, after the epoch and the temperature were chosen
    windows: dict[str, int] = {}  # of each label that the weights learnt from, without other lives
    digests: dict[str, str] = {}  # sha256 of each file of recordings, by name
    adapted_from: Training | None = None  # the training of the bundle that this one began with, without its metrics
    without_gravity: tuple[str, ...] = ()  # data sets whose accelerations hold none
    seen_before: tuple[str, ...] = ()  # subjects to validate or test on whom that bundle, or one before it, has seen


class StatesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes states of labels: `transition` (K, K) has the probability of each label (column) a second after each
    (row), and a window's probabilities are raised to `tempering` for each second that it adds to the one before."""

    transition: tuple[tuple[float, ...], ...]
    tempering: float


class Int8(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """int8 against fp32 on the validation subjects: macro-F1 of both, the greatest difference of a probability, and the
    ratio of windows labelled a second on the machine that trained."""

    macro_f1: float
    macro_f1_fp32: float
    greatest_difference: float
    speed: float


class Format(msgspec.Struct, frozen=True):
    """The only field that a manifest of any format has: it decides how the rest is read."""

    format: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`hard.json`: what makes the weights mean something. `files` maps each file to its sha256.

    `precision` is that of the compiled scorer that is served by default; `int8` holds the figures behind this choice.
    `up` and `forward` are the default mounting, the mean of the training subjects. `parents` name the labels that are
    together one coarser activity, by default those of PARENTS; without `states` those of `even_states` hold.
    `least_rate_hz` is the least sample rate at which the labels were measured to be as good as at any, None where it
    wasn't measured. Without `familiarity` nothing says how familiar a window is.
    """

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
    precision: Precision = "fp32"
    int8: Int8 | None = None
    parents: dict[str, tuple[str, ...]] | None = None
    states: StatesSpec | None = None
    least_rate_hz: Annotated[float, msgspec.Meta(gt=0)] | None = None
    familiarity: FamiliaritySpec | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's folder and its manifest, checked."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> str:
        """Name and digest, for a label's payload: two bundles of one name differ in it."""
        digest = self.manifest.files.get(WEIGHTS[1], "")
        return f"{self.manifest.name}-{digest[:8]}"

    @property
    def least_rate_hz(self) -> float | None:
        """The least sample rate at which its labels were measured to be as good as at any; None where not measured."""
        return self.manifest.least_rate_hz

    def parents(self) -> dict[str, tuple[str, ...]]:
        """The labels of each parent; only parents of at least two of the bundle's labels."""
        labels, parents = self.manifest.labels, self.manifest.parents
        if parents is None:
            parents = {name: tuple(label for label in labels if label in of) for name, of in PARENTS.items()}
        return {name: children for name, children in parents.items() if len(children) > 1}

    def min_confidence(self, wanted: float | Literal["bundle"]) -> float:
        """`wanted`, or the threshold that this bundle recommends by people not trained on; 0 where it has none."""
        if wanted != "bundle":
            return wanted
        found = self.manifest.training.metrics.abstaining
        return found.min_confidence if found else 0.0

    def min_familiar(self, wanted: float | Literal["bundle"]) -> float:
        """`wanted`, or the threshold that this bundle recommends; 0 where it has none."""
        if wanted != "bundle":
            return wanted
        spec = self.manifest.familiarity
        return spec.min_familiar if spec else 0.0

    def states(self) -> StatesSpec:
        """The transition matrix and tempering of the bundle, or the default."""
        return self.manifest.states or even_states(len(self.manifest.labels), STAY, TEMPERING)

    def default_mounting(self) -> Frame:
        """The mounting of a device that hasn't shown its own yet."""
        up, forward = (np.asarray(axis, dtype=np.float32) for axis in (self.manifest.up, self.manifest.forward))
        return Frame(up, forward, calibrated=False)


def even_states(count: int, stay: float, tempering: float) -> StatesSpec:
    """Each of `count` labels is the same a second later with the probability `stay`; each other one is as likely."""
    leave = (1 - stay) / (count - 1)
    rows = tuple(tuple(stay if i == k else leave for i in range(count)) for k in range(count))
    return StatesSpec(rows, tempering)


def find(where: Path | str | None = None) -> Path:
    """A bundle's folder: `where`, or the bundle of that name that ships with HARD, by default `DEFAULT`. A folder that
    exists wins over a shipped bundle of its name."""
    if not where:
        return SHIPPED / DEFAULT
    path, shipped = Path(where), SHIPPED / where
    try:
        named = _is_name(path) and shipped.is_dir() and not path.is_dir()
    except OSError:  # the current folder can't be entered, so only a shipped bundle can be meant
        named = True
    return shipped if named else path


def read(where: Path | str | None = None, *, only: tuple[str, ...] | None = None) -> Bundle:
    """Reads and verifies a bundle, checksums included; `where` as for `find`, `only` limits the checksums to the files
    that will be used.

    Raises BundleError.
    """
    path = find(where)
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


def verify(where: Path | str | None = None) -> list[str]:
    """Every problem of a bundle, a sentence each; empty when it has none."""
    path = find(where)
    try:
        manifest = _manifest(path)
    except BundleError as error:
        return [str(error)]
    problems = [p for name, digest in manifest.files.items() if (p := _checksum_problem(path, name, digest))]
    missing = [name for name in (TOKENIZER, GRAPHS[manifest.precision], *WEIGHTS) if name not in manifest.files]
    problems += [f"{path}: {MANIFEST} lists no {name}" for name in missing]
    present = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()} - {MANIFEST}
    problems += [f"{path / name} is not listed in {MANIFEST}" for name in sorted(present - set(manifest.files))]
    return problems


def write(path: Path | str, manifest: Manifest) -> Bundle:
    """Writes `hard.json` with the checksums of the files in `path`. Raises BundleError for a manifest that `read` would
    refuse."""
    path = Path(path)
    parts = [p for p in sorted(path.rglob("*")) if p.is_file() and p != path / MANIFEST]
    digests = {p.relative_to(path).as_posix(): sha256(p) for p in parts}
    manifest = msgspec.structs.replace(manifest, files=digests)
    _check(path, manifest)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (path / MANIFEST).write_bytes(text + b"\n")
    return Bundle(path, manifest)


def _manifest(path: Path) -> Manifest:
    try:
        exists = path.is_dir()
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}") from error
    if not exists:
        shipped = ", ".join(sorted(folder.name for folder in SHIPPED.iterdir()))
        raise BundleError(f"{path} is not a folder" + f" and no shipped bundle ({shipped})" * _is_name(path))
    try:
        text = (path / MANIFEST).read_bytes()
        version = msgspec.json.decode(text, type=Format).format
        if version != FORMAT:
            raise BundleError(f"{path}: {MANIFEST} {_unreadable(version)}")
        manifest = msgspec.json.decode(text, type=Manifest)
    except OSError as error:
        raise BundleError(f"{path}: {MANIFEST} can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        field = re.search(r"`\$?\.?([\w.]+)[^`]*`$", str(error))  # msgspec names it last
        problem = f"{field[1]} is missing, not known or of a wrong kind" if field else "it is damaged"
        raise BundleError(f"{path}: {MANIFEST} is not a manifest: {problem}") from error
    _check(path, manifest)
    return manifest


def _is_name(path: Path) -> bool:
    return len(path.parts) == 1 and not path.is_absolute()


def _check(path: Path, manifest: Manifest) -> None:
    """Raises BundleError for a problem that shows without the weights."""
    problem = None
    if manifest.format != FORMAT:
        problem = _unreadable(manifest.format)
    elif len(set(manifest.labels)) != len(manifest.labels) or len(manifest.labels) < 2:
        problem = "needs at least two labels, each once"
    elif manifest.window.unit != "m/s2":
        problem = f"has windows in {manifest.window.unit!r}, this version of HARD knows only m/s2"
    elif not manifest.temperature > 0:
        problem = "has a temperature that is not above zero"
    elif any(abs(sum(c * c for c in axis) - 1) > 1e-3 for axis in (manifest.up, manifest.forward)):
        problem = "has a default mounting that is not two unit vectors"
    elif unknown := set(manifest.prompt.features) - set(features.names()):
        problem = f"asks for unknown features: {', '.join(sorted(unknown))}"
    elif any(Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name for name in manifest.files):
        problem = "lists a file outside its folder"
    else:
        try:
            problem = _states_problem(manifest) or (
                familiarity.problem(manifest.familiarity, len(manifest.labels)) if manifest.familiarity else None
            )
            prompt_style(manifest.prompt)
            grid_points(manifest.window.length_s, manifest.window.rate_hz)
        except ValueError as error:
            problem = str(error)
    if problem:
        raise BundleError(f"{path}: {MANIFEST} {problem}")


def _states_problem(manifest: Manifest) -> str | None:
    count, states = len(manifest.labels), manifest.states
    for parent, children in (manifest.parents or {}).items():
        if not children or set(children) - set(manifest.labels) or parent in manifest.labels:
            return f"has a parent {parent!r} that is a label, or whose children are not labels"
    if states is None:
        return None
    rows = states.transition
    if len(rows) != count or any(len(row) != count for row in rows):
        return f"has a transition matrix that is not {count} × {count}"
    if any(min(row) < 0 or abs(sum(row) - 1) > 1e-6 for row in rows):
        return "has a transition matrix with a row that is no distribution"
    return None if states.tempering > 0 else "has a tempering that is not above zero"


def _unreadable(version: int) -> str:
    return f"has format {version}, this version of HARD reads {FORMAT}"


def _checksum_problem(path: Path, name: str, digest: str) -> str | None:
    try:
        if sha256(path / name) == digest:
            return None
    except OSError as error:
        return f"{path / name} can't be read: {error.strerror}"
    return f"{path / name} is not the file that {MANIFEST} describes (sha256 differs)"


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
