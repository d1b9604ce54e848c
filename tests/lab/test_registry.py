import dataclasses
import subprocess
import sys
from typing import get_args

import pytest

from bothways.io.options import options_of
from bothways.lab.registry import ComparisonName, load_comparison, load_presets
from bothways.lab.settings import Scale

NAMES: tuple[ComparisonName, ...] = get_args(ComparisonName)


@pytest.mark.parametrize("name", NAMES)
def test_every_comparison_has_every_scale(name: ComparisonName) -> None:
    comparison = load_comparison(name)
    assert set(comparison.presets) == set(get_args(Scale))
    assert comparison.presets == load_presets(name)
    assert comparison.title


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_help_text(name: ComparisonName) -> None:
    settings = load_presets(name)["default"]
    options = options_of(type(settings))
    assert [option.name for option in options] == [f.name for f in dataclasses.fields(settings)]
    assert all(option.option.help.endswith(".") for option in options)


def test_presets_load_without_torch_and_matplotlib() -> None:
    program = (
        "import sys\n"
        "from typing import get_args\n"
        "from bothways.lab.registry import ComparisonName, load_presets\n"
        "for name in get_args(ComparisonName): load_presets(name)\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_loading_a_comparison_does_not_import_the_others() -> None:
    program = (
        "import sys\n"
        "from bothways.lab.registry import load_comparison\n"
        "load_comparison('speed')\n"
        "assert 'bothways.lab.comparisons.speed.report' in sys.modules\n"
        "assert 'bothways.lab.comparisons.data' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
