"""What the benchmarks record their figures with, for the examples: `benchmarks/record.py`.

`circumstances()`, taken at the start, says on which machine, when and by which command;
`write(report, None, name)` leaves a report in `benchmarks/results/NAME.json`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from record import circumstances, use_cores, write

__all__ = ["circumstances", "use_cores", "write"]
