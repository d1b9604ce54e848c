import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bothways.errors import ConfigError
from bothways.lab.comparisons.ablation.experiment import (
    VARIANTS,
    AblationResult,
    AblationSettings,
    Adder,
    difference,
    look,
    make_batch,
    run_ablation,
)
from bothways.lab.comparisons.ablation.report import COMPARISON, ablation_sections
from bothways.lab.models.ablated_block import AblatedEncoder
from bothways.lab.report.writer import Report, write_report
from bothways.lab.tasks.base import Stream

QUICK: AblationSettings = COMPARISON.settings["quick"]


@pytest.fixture(scope="module")
def result() -> AblationResult:
    shares: list[float] = []
    found = run_ablation(
        dataclasses.replace(QUICK, seeds=(0, 1)), lambda doing, share: shares.append(share)
    )
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    return found


def test_a_target_is_the_sum_of_a_symbol_and_its_mirror_image() -> None:
    settings = AblationSettings(num_symbols=5, length=3)
    batch = make_batch(settings, 4, seed=0, step=0)
    rows = batch.values.view(4, 3)
    np.testing.assert_array_equal(batch.targets["sums"].view(4, 3), (rows + rows[:, [2, 1, 0]]) % 5)


def test_batches_differ_by_seed_step_and_stream_and_by_nothing_else() -> None:
    settings = AblationSettings()

    def values(seed: int, step: int, stream: Stream = "train") -> list[int]:
        numbers: list[int] = make_batch(settings, 8, seed, step, stream).values.tolist()
        return numbers

    first = values(0, 0)
    assert first == values(0, 0)
    for other in (values(1, 0), values(0, 1), values(0, 0, stream="test")):
        assert other != first


def test_every_variant_is_trained_at_every_depth_from_every_seed(result: AblationResult) -> None:
    assert set(result.runs) == set(QUICK.depths)
    for depth, runs in result.runs.items():
        assert list(runs) == list(VARIANTS)
        for run in runs.values():
            assert set(run.losses) == set(run.accuracies) == set(run.starts) == {0, 1}
            assert all(len(losses) == QUICK.steps for losses in run.losses.values())
            assert len(run.starts[0].gradients) == len(run.starts[0].differences) == depth + 1


def test_variants_differ_in_what_they_lack_alone(result: AblationResult) -> None:
    sizes = {name: run.parameters for name, run in result.runs[2].items()}
    whole = sizes["whole"]
    assert sizes["no skip connections"] == sizes["one head"] == whole
    assert sizes["no positions"] == whole - QUICK.length * QUICK.d_model
    assert sizes["no feed-forward"] < sizes["no normalization"] < whole


def test_vectors_that_are_all_alike_do_not_differ_and_those_around_nothing_do() -> None:
    assert difference(torch.ones(6, 4), 3) == 0
    around = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert difference(around, 2) == 1
    assert difference(torch.cat([around, 5 * around]), 2) == 1


def test_without_skip_connections_positions_become_alike_with_depth() -> None:
    settings = AblationSettings()
    whole, without = (
        look(settings, Adder(settings, VARIANTS[name], 8, seed=0), 0).differences
        for name in ("whole", "no skip connections")
    )
    assert whole[-1] > 0.3
    assert without[-1] < 0.02


def test_without_norms_gradients_grow_from_layer_to_layer() -> None:
    settings = AblationSettings()
    whole, without = (
        look(settings, Adder(settings, VARIANTS[name], 8, seed=0), 0).gradients
        for name in ("whole", "no normalization")
    )
    assert whole[0] < 100 * whole[-1]
    assert without[0] > 100 * without[-1]


def test_the_same_settings_give_the_same_numbers(result: AblationResult) -> None:
    settings = dataclasses.replace(result.settings, depths=(1,))
    again = run_ablation(settings, lambda *_: None)
    for name, run in again.runs[1].items():
        assert run.losses == result.runs[1][name].losses
        assert run.accuracies == result.runs[1][name].accuracies
        assert run.starts == result.runs[1][name].starts


def test_the_report_shows_every_variant(result: AblationResult, tmp_path: Path) -> None:
    sections = ablation_sections(result)
    for table in sections[0].tables:
        assert [row[0] for row in table.rows] == list(VARIANTS)
    report = Report("Ablation", "command", {}, tuple(sections), result.to_dict())
    write_report(tmp_path, report)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "ablation-loss-1.png",
        "ablation-loss-2.png",
        "ablation-gradients.png",
        "ablation-differences.png",
    }
    raw = json.loads((tmp_path / "raw.json").read_text())["results"]
    assert len(raw["runs"]["2"]["whole"]["losses"]["0"]) == QUICK.steps


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depths": ()}, "depths=.*at least one"),
        ({"seeds": (1, 1)}, "seeds=.*none twice"),
        ({"steps": 0}, "steps=0: expected at least 1"),
        ({"num_heads": 5}, "num_heads=5 does not divide"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(QUICK, **wrong)  # type: ignore[arg-type]


def test_small_weights_tame_gradients_but_let_positions_become_alike() -> None:
    settings = AblationSettings()
    starts = {}
    for name in ("no normalization", "no skip connections"):
        torch.manual_seed(0)
        model = Adder(settings, VARIANTS[name], 8, seed=0)
        # As training begins: see `TransformerEncoder`.
        fresh = AblatedEncoder(model.encoder.config, VARIANTS[name].without)
        model.encoder.load_state_dict(fresh.state_dict())
        starts[name] = look(settings, model, 0)
    tame = starts["no normalization"].gradients
    assert tame[0] < 10 * tame[-1]
    assert starts["no skip connections"].differences[-1] < 0.02
