"""The report of `bothways compare ablation`: accuracy, loss curves and signal propagation."""

import math

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.ablation.experiment import (
    AblationResult,
    VariantResult,
    run_ablation,
)
from bothways.lab.comparisons.ablation.figures import (
    layers_phrase,
    loss_figure,
    propagation_figure,
)
from bothways.lab.comparisons.ablation.settings import PRESETS, VARIANTS
from bothways.lab.report.content import PageSection, ReportTable

__all__ = ["COMPARISON", "ablation_sections"]


def ablation_sections(result: AblationResult) -> list[PageSection]:
    """Accuracy, loss curves, signal propagation at initialization, and the method."""
    return [
        _accuracy_section(result),
        PageSection(
            "Training loss",
            (
                "Curves are medians over the seeds at the best learning rate of each variant; "
                "bands extend from the lowest to the highest seed. Guessing has a loss of "
                f"{math.log(result.settings.num_symbols):.2f} nats. Curves that leave the figure "
                "at the top are labeled at its edge.",
            ),
            tuple(loss_figure(result, depth) for depth in result.settings.depths),
        ),
        _propagation_section(result),
        _method_section(result),
    ]


def _accuracy_section(result: AblationResult) -> PageSection:
    settings = result.settings
    return PageSection(
        "Accuracy without each part",
        (
            _finding(result),
            f"The task: add to each of {settings.length} symbols the symbol at the mirrored "
            f"position, modulo {settings.num_symbols}. Attention has to fetch the other symbol, "
            "and positions have to identify it. The modular sum is not a linear function of the "
            "two embeddings, so it needs a nonlinearity: the feed-forward layer or, without one, "
            "softmax and normalization. Guessing is correct in "
            f"{100 / settings.num_symbols:.1f} % of cases.",
        ),
        tables=(_accuracy_table(result), _learning_rate_table(result)),
    )


def _propagation_section(result: AblationResult) -> PageSection:
    return PageSection(
        "Why skip connections and normalization",
        (
            "Both effects are visible before training, in newly initialized encoders of "
            f"{max(result.settings.depths)} layers. Without skip connections, a layer passes on "
            "only the output of attention. Attention at initialization is close to an average over "
            "the sequence, and repeated averaging removes the differences between positions: after "
            "a few layers all positions have the same vector (Dong et al. 2021, Attention is not "
            "all you need: it loses rank doubly exponentially with depth). Normalization restores "
            "the size of that vector, and so of the gradient. It cannot restore the differences, "
            "and then the gradient is the same for all positions, whatever its size. With skip "
            "connections, each position keeps its own embedding.",
            "Without normalization, each layer adds to a growing sum, the next layer multiplies "
            "that sum by its weights, and activations and gradients grow from layer to layer. Much "
            "smaller initial weights, as in BERT and bothways (standard deviation 0.02), delay "
            "this growth. Without both parts, nothing controls the scale in either direction.",
        ),
        (
            propagation_figure(
                result,
                "ablation-gradients",
                lambda signal: signal.gradient_norms,
                "gradient norm of the hidden states",
                "log10",
                "Gradient of the loss with respect to the hidden states of each layer before "
                "training. Gradients flow from the last layer, on the right, to the embeddings, 0.",
            ),
            propagation_figure(
                result,
                "ablation-differences",
                lambda signal: signal.position_variation,
                "variation between positions, fraction",
                "linear",
                "How much the hidden states differ between positions: their distance from the mean "
                "of the sequence, relative to their norm.",
            ),
        ),
    )


def _method_section(result: AblationResult) -> PageSection:
    settings = result.settings
    return PageSection(
        "Method and limits",
        (
            f"Every variant has the same budget: {settings.steps:,} steps of "
            f"{settings.batch_size} new sequences, {settings.length * settings.batch_size:,} "
            f"symbols. The first seed tries {len(settings.learning_rates)} learning rates; the "
            "best one, on sequences that are not reported, is used for all seeds. Weights are "
            "initialized so that a linear map preserves the scale of its input (Glorot and Bengio "
            "2010). The block is pre-norm. Removed parts are not replaced, so a block without a "
            "feed-forward layer has fewer parameters.",
            "This is one small task. A part without effect here can matter elsewhere: one head is "
            "enough when there is one thing to look up, and a task that ignores order needs no "
            "positions.",
        ),
        tables=(_parameter_table(result),),
    )


def _finding(result: AblationResult) -> str:
    deepest = max(result.settings.depths)
    accuracies = ", ".join(
        f"{name} {_percent(_median_accuracy(variant))}"
        for name, variant in result.variants[deepest].items()
    )
    return f"Correct sums after training with {layers_phrase(deepest)}: {accuracies}."


def _median_accuracy(variant: VariantResult) -> float:
    return float(np.median(list(variant.accuracies.values())))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _accuracy_table(result: AblationResult) -> ReportTable:
    def cell(variant: VariantResult) -> str:
        low, high = min(variant.accuracies.values()), max(variant.accuracies.values())
        spread = "" if high - low < 0.005 else f" ({_percent(low)} to {_percent(high)})"
        return _percent(_median_accuracy(variant)) + spread

    return ReportTable(
        "Correct sums: median of the seeds (lowest to highest)",
        ("block", *map(layers_phrase, result.variants)),
        tuple(
            (name, *(cell(variants[name]) for variants in result.variants.values()))
            for name in VARIANTS
        ),
    )


def _learning_rate_table(result: AblationResult) -> ReportTable:
    return ReportTable(
        "Best learning rate of each variant",
        ("block", *map(layers_phrase, result.variants)),
        tuple(
            (name, *(variants[name].learning_rate for variants in result.variants.values()))
            for name in VARIANTS
        ),
    )


def _parameter_table(result: AblationResult) -> ReportTable:
    output = result.variants[result.settings.depths[0]]["full block"].parameters.head
    return ReportTable(
        f"Encoder parameters; the output layer adds {output:,} to each",
        ("block", *map(layers_phrase, result.variants)),
        tuple(
            (name, *(variants[name].parameters.encoder for variants in result.variants.values()))
            for name in VARIANTS
        ),
    )


COMPARISON = Comparison(
    title="Ablation: what each part of the encoder block contributes",
    presets=PRESETS,
    run=run_ablation,
    sections=ablation_sections,
)
