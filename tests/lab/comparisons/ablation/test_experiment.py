import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bothways.errors import ConfigError
from bothways.lab.comparisons.ablation.experiment import (
    AblationResult,
    MirrorSumModel,
    SignalPropagation,
    make_batch,
    measure_signal_propagation,
    position_variation,
    run_ablation,
)
from bothways.lab.comparisons.ablation.report import ablation_sections
from bothways.lab.comparisons.ablation.settings import PRESETS, VARIANTS, AblationSettings
from bothways.lab.models.ablated_block import AblatedEncoder
from bothways.lab.report.content import ComparisonReport
from bothways.lab.report.writer import write_report
from bothways.lab.tasks.base import Split

QUICK = PRESETS["quick"]


@pytest.fixture(scope="module")
def result() -> AblationResult:
    fractions: list[float] = []
    settings = dataclasses.replace(QUICK, seeds=(0, 1))
    result = run_ablation(settings, lambda activity, fraction: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    return result


def propagation(name: str, depth: int = 8) -> SignalPropagation:
    settings = AblationSettings()
    model = MirrorSumModel(settings, VARIANTS[name], depth, seed=0)
    return measure_signal_propagation(settings, model, 0)


def test_a_target_is_the_sum_of_a_symbol_and_its_mirror_image() -> None:
    settings = AblationSettings(num_symbols=5, length=3)
    batch = make_batch(settings, 4, seed=0, step=0)
    rows = batch.values.view(4, 3)
    np.testing.assert_array_equal(batch.targets["sums"].view(4, 3), (rows + rows[:, [2, 1, 0]]) % 5)


def test_batches_are_a_function_of_seed_step_and_split() -> None:
    settings = AblationSettings()

    def values(seed: int, step: int, split: Split = "train") -> list[int]:
        numbers: list[int] = make_batch(settings, 8, seed, step, split).values.tolist()
        return numbers

    first = values(0, 0)
    assert first == values(0, 0)
    for other in (values(1, 0), values(0, 1), values(0, 0, split="test")):
        assert other != first


def test_every_variant_is_trained_at_every_depth_from_every_seed(result: AblationResult) -> None:
    assert set(result.variants) == set(QUICK.depths)
    for depth, variants in result.variants.items():
        assert list(variants) == list(VARIANTS)
        for variant in variants.values():
            assert set(variant.losses) == set(variant.accuracies) == {0, 1}
            assert set(variant.at_initialization) == {0, 1}
            assert all(len(losses) == QUICK.steps for losses in variant.losses.values())
            signal = variant.at_initialization[0]
            assert len(signal.gradient_norms) == len(signal.position_variation) == depth + 1


def test_variants_only_lack_the_parameters_of_the_removed_part(result: AblationResult) -> None:
    variants = result.variants[2]
    assert len({variant.parameters.head for variant in variants.values()}) == 1
    sizes = {name: variant.parameters.encoder for name, variant in variants.items()}
    full = sizes["full block"]
    assert sizes["no skip connections"] == sizes["one head"] == full
    assert sizes["no positions"] == full - QUICK.length * QUICK.d_model
    assert sizes["no feed-forward"] < sizes["no normalization"] < full


def test_position_variation_is_0_for_equal_vectors_and_1_for_vectors_with_mean_0() -> None:
    assert position_variation(torch.ones(6, 4), 3) == 0
    centered = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert position_variation(centered, 2) == 1
    assert position_variation(torch.cat([centered, 5 * centered]), 2) == 1


def test_without_skip_connections_differences_between_positions_vanish_with_depth() -> None:
    assert propagation("full block").position_variation[-1] > 0.3
    assert propagation("no skip connections").position_variation[-1] < 0.02


def test_without_normalization_gradients_grow_from_layer_to_layer() -> None:
    full = propagation("full block").gradient_norms
    without = propagation("no normalization").gradient_norms
    assert full[0] < 100 * full[-1]
    assert without[0] > 100 * without[-1]


def test_the_same_settings_give_the_same_numbers(result: AblationResult) -> None:
    settings = dataclasses.replace(result.settings, depths=(1,))
    again = run_ablation(settings, lambda *_: None)
    for name, variant in again.variants[1].items():
        assert variant.losses == result.variants[1][name].losses
        assert variant.accuracies == result.variants[1][name].accuracies
        assert variant.at_initialization == result.variants[1][name].at_initialization


def test_the_report_shows_every_variant(result: AblationResult, tmp_path: Path) -> None:
    sections = ablation_sections(result)
    for table in sections[0].tables:
        assert [row[0] for row in table.rows] == list(VARIANTS)
    report = ComparisonReport("Ablation", "command", {}, tuple(sections), result.to_dict())
    write_report(tmp_path, report)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "ablation-loss-1.png",
        "ablation-loss-2.png",
        "ablation-gradients.png",
        "ablation-differences.png",
    }
    raw = json.loads((tmp_path / "raw.json").read_text())["results"]
    assert len(raw["variants"]["2"]["full block"]["losses"]["0"]) == QUICK.steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": ()}, "depths=.*one or more distinct"),
        ({"seeds": (1, 1)}, "seeds=.*one or more distinct"),
        ({"steps": 0}, "steps=0: expected at least 1"),
        ({"num_heads": 5}, "num_heads=5 does not divide"),
    ],
)
def test_invalid_settings_raise(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(QUICK, **changes)  # type: ignore[arg-type]


def test_small_initial_weights_limit_gradients_but_not_the_loss_of_variation() -> None:
    settings = AblationSettings()
    signals = {}
    for name in ("no normalization", "no skip connections"):
        torch.manual_seed(0)
        model = MirrorSumModel(settings, VARIANTS[name], 8, seed=0)
        # The initial weights of `bothways train`, from `TransformerEncoder`.
        small = AblatedEncoder(model.encoder.config, VARIANTS[name].without)
        model.encoder.load_state_dict(small.state_dict())
        signals[name] = measure_signal_propagation(settings, model, 0)
    gradients = signals["no normalization"].gradient_norms
    assert gradients[0] < 10 * gradients[-1]
    assert signals["no skip connections"].position_variation[-1] < 0.02
