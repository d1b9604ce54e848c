from bothways.lab.report.percentages import format_median, format_median_and_range


def test_the_median_is_shown_and_not_the_mean() -> None:
    assert format_median([0.0, 0.9, 1.0]) == "90 %"


def test_the_range_is_from_the_lowest_to_the_highest() -> None:
    assert format_median_and_range([0.82, 0.92, 0.93]) == "92 % (82 to 93)"
