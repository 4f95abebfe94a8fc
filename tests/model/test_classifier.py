"""The classifier on the shipped bundle, by both backends."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.familiar import familiar_bundle

from hard.model import bundle
from hard.model.bundle import Bundle, BundleError, Manifest
from hard.model.classifier import Backend, Classifier, load
from hard.model.familiarity import FamiliaritySpec, packed
from hard.records import Window

BACKENDS: list[Backend] = ["onnx", "torch"]
PATH = bundle.find()


def windows(n: int, seed: int = 0, device: str = "d") -> list[Window]:
    """Windows of all strengths of movement, in any mounting."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        up = rng.normal(size=3)
        up /= np.linalg.norm(up)
        forward = np.cross(up, rng.normal(size=3))
        up, forward = up.astype(np.float32), (forward / np.linalg.norm(forward)).astype(np.float32)
        movement = rng.uniform(0, 8) * np.sin(2 * np.pi * rng.uniform(0.5, 4) * np.arange(80) / 20)
        xyz = 9.81 * up + movement[:, None] * rng.normal(size=3) + rng.normal(0, 0.3, (80, 3))
        made.append(Window(device, float(i), i + 4.0, xyz.astype(np.float32), 1.0, up, forward, True, 0.0, 0.0, 0.0))
    return made


def probabilities(classifier: Classifier, batch: list[Window]) -> np.ndarray:
    return np.stack([p.probabilities for p in classifier.classify(batch)])


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "torch":
        pytest.importorskip("torch", reason="torch is not installed")
        pytest.importorskip("transformers", reason="transformers is not installed")
    made: Backend = request.param
    return made


@pytest.fixture(scope="module")
def classifier(backend: Backend) -> Classifier:
    return load(PATH, backend)


def test_a_classifier_counts_the_levels_that_it_writes() -> None:
    classifier = load(PATH)
    assert {use.times_written for use in classifier.levels.values()} == {0}
    batch = windows(20)
    classifier.classify(batch)
    words = [word for prompt in classifier.prompts(batch) for word in prompt.split()]
    for level, use in classifier.levels.items():
        assert use.times_written == sum(word.endswith(f":{level}") for word in words)
        assert 0 < use.expected_share < 1
    assert sum(use.expected_share for use in classifier.levels.values()) == pytest.approx(1)


def test_each_window_gets_a_probability_for_each_label(classifier: Classifier) -> None:
    batch = windows(50)
    for window, prediction in zip(batch, classifier.classify(batch), strict=True):
        assert prediction.window is window
        assert prediction.probabilities.shape == (len(classifier.labels),)
        assert prediction.probabilities.sum() == pytest.approx(1)
        assert prediction.confidence == prediction.probabilities.max()
        assert prediction.label == classifier.labels[int(prediction.probabilities.argmax())]


def test_torch_and_onnx_agree() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    batch = windows(300, seed=1)
    onnx = load(PATH, "onnx", precision="fp32")
    apart = np.abs(probabilities(onnx, batch) - probabilities(load(PATH, "torch"), batch))
    assert apart.max() < 1e-4


def test_a_prediction_does_not_depend_on_its_batch(classifier: Classifier) -> None:
    batch = windows(33)
    whole = probabilities(classifier, batch)
    single = np.concatenate([probabilities(classifier, [w]) for w in batch])
    reverse = probabilities(classifier, batch[::-1])[::-1]
    np.testing.assert_allclose(single, whole, atol=1e-5)
    np.testing.assert_allclose(reverse, whole, atol=1e-5)


def test_an_empty_batch_gives_no_prediction(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_impossible_windows_get_probabilities_too(classifier: Classifier) -> None:
    still, *_ = windows(1)
    values = (0.0, 320.0, -320.0, 1e30)
    odd = [
        Window("d", 0, 4, np.full((80, 3), v, np.float32), 1, still.up, still.forward, False, 0, 0, 0) for v in values
    ]
    np.testing.assert_allclose(probabilities(classifier, odd).sum(axis=1), 1)


def test_a_copy_of_a_bundle_gives_the_same(classifier: Classifier, backend: Backend, tmp_path: Path) -> None:
    shutil.copytree(PATH, tmp_path / "copy")
    bundle.write(tmp_path / "copy", classifier.bundle.manifest)
    batch = windows(20)
    again = load(str(tmp_path / "copy"), backend)
    np.testing.assert_array_equal(probabilities(again, batch), probabilities(classifier, batch))
    assert again.bundle.model == classifier.bundle.model


def test_tokens_equal_the_tokenizers_over_the_prompts() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    classifier, batch = load(PATH), windows(40)
    whole = tokenizers.Tokenizer.from_file(str(PATH / "tokenizer.json"))
    ids, mask = classifier.tokens(classifier.features(batch))
    assert ids.tolist() == [whole.encode(prompt).ids for prompt in classifier.prompts(batch)]
    assert mask.all()


def test_a_higher_temperature_lowers_confidence_and_keeps_the_labels() -> None:
    made = bundle.read(PATH)
    warm = msgspec.structs.replace(made.manifest, temperature=made.manifest.temperature * 3)
    batch = windows(50)
    cool, soft = load(PATH).classify(batch), Classifier(bundle.Bundle(PATH, warm)).classify(batch)
    assert [p.label for p in cool] == [p.label for p in soft]
    assert all(a.confidence >= b.confidence for a, b in zip(cool, soft, strict=True))


@pytest.fixture(scope="module")
def familiar(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return familiar_bundle(tmp_path_factory.mktemp("familiar") / "bundle")


def test_both_backends_say_how_familiar_a_window_is(familiar: Bundle) -> None:
    batch = windows(50)
    shares = [[p.familiar for p in load(familiar.path, backend).classify(batch)] for backend in BACKENDS]
    np.testing.assert_allclose(*shares, atol=1e-3)
    assert min(shares[0]) < 0.5 < max(shares[0])
    assert load(familiar.path).classify(batch[3:4])[0].familiar == pytest.approx(shares[0][3], abs=1e-3)


def test_a_bundle_without_familiarity_or_pooled_output_cannot_say_it(familiar: Bundle, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    bare = Bundle(familiar.path, msgspec.structs.replace(familiar.manifest, familiarity=None))
    assert Classifier(bare).classify(windows(1))[0].familiar is None
    shutil.copytree(familiar.path, tmp_path / "one")
    graph = onnx.load(familiar.path / "model.onnx")
    del graph.graph.output[1]
    onnx.save(graph, tmp_path / "one" / "model.onnx")
    bundle.write(tmp_path / "one", familiar.manifest)
    assert load(tmp_path / "one").classify(windows(1))[0].familiar is None


def test_a_familiarity_of_another_width_is_refused(familiar: Bundle) -> None:
    arrays = {name: packed(np.ones(n)) for name, n in (("whitening", 4), ("means", 2), ("hidden", 4), ("output", 1))}
    spec = FamiliaritySpec(min_familiar=0.0, quantiles=((0.0, 1.0),) * 6, **arrays)
    with pytest.raises(BundleError, match="the familiarity doesn't fit the scorer"):
        Classifier(Bundle(familiar.path, msgspec.structs.replace(familiar.manifest, familiarity=spec)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ("Walking", "Walking ", "Sitting")}, "'Walking' and 'Walking ' clash"),
        ({"labels": ("Walking", "Sitting")}, r"scores of shape \(6,\) for 2 labels"),
        ({"up": (1.0, 0.0, 0.0), "window": bundle.WindowSpec(0.1, 20.0)}, "the onnx scorer can't run"),
    ],
)
def test_parts_that_disagree_are_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    manifest: Manifest = msgspec.structs.replace(bundle.read(PATH).manifest, **change)
    with pytest.raises(BundleError, match=sentence) as refusal:
        Classifier(bundle.Bundle(PATH, manifest))
    assert "\n" not in str(refusal.value)


def test_a_precision_that_the_bundle_lacks_is_refused(tmp_path: Path) -> None:
    shutil.copytree(PATH, tmp_path / "copy")
    (tmp_path / "copy" / "model.int8.onnx").unlink(missing_ok=True)
    bundle.write(tmp_path / "copy", msgspec.structs.replace(bundle.read(PATH).manifest, precision="fp32"))
    load(tmp_path / "copy", precision="fp32")
    with pytest.raises(BundleError, match=r"has no model\.int8\.onnx"):
        load(tmp_path / "copy", precision="int8")
    with pytest.raises(BundleError, match="the torch backend has no int8"):
        load(PATH, "torch", precision="int8")


@pytest.mark.parametrize("name", ["model.onnx", "spiece.model"])
def test_files_with_other_contents_are_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(PATH, tmp_path / "copy")
    (tmp_path / "copy" / name).write_text("{}")
    bundle.write(tmp_path / "copy", bundle.read(PATH).manifest)
    with pytest.raises(BundleError, match="copy"):
        load(tmp_path / "copy", precision="fp32")


def test_what_is_not_known_yet_is_a_word_of_its_own() -> None:
    classifier, known = load(), [replace(w, before=w.xyz) for w in windows(2)]
    for changed, missing in (
        ({"calibrated": False}, "tilt.cos:?"),
        ({"before": np.empty((0, 3), np.float32)}, "long.v.peak:?"),
    ):
        prompts = classifier.prompts([known[0], replace(known[1], **changed)])  # type: ignore[arg-type]
        assert ":?" not in prompts[0]
        assert missing in prompts[1].split()
