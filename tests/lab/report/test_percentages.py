from bothways.lab.report.percentages import typical, typical_and_range


def test_the_typical_share_is_the_median_and_not_the_mean() -> None:
    assert typical([0.0, 0.9, 1.0]) == "90 %"


def test_the_range_is_of_the_worst_and_the_best() -> None:
    assert typical_and_range([0.82, 0.92, 0.93]) == "92 % (82 to 93)"
