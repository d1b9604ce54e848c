"""Recording of results for the examples: re-exports `benchmarks/record.py`.

`describe_run()`, called at the start, gives the command, date, machine and versions of a run;
`write(report, None, name)` writes a report to `benchmarks/results/NAME.json`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from record import describe_run, use_cores, write

__all__ = ["describe_run", "use_cores", "write"]
