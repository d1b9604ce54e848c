"""What can be compared, and how thoroughly: names that cost nothing to import."""

from typing import Literal

__all__ = ["LabTask", "Labeled", "Said", "Scale", "Subject"]

Subject = Literal["ablation", "bottleneck", "data", "distance", "speed"]

Scale = Literal["quick", "default", "full"]
"""How long it takes: seconds, to see that it works; at most ten minutes on two cores; longer."""

Labeled = Literal["classify", "tag", "regress"]
"""What is learned of rows with labels, as `bothways train` calls it."""

Said = Literal["copy", "reverse", "dates"]
"""What a decoder says of a sequence: the same, the same backwards, or of a date ISO 8601."""

LabTask = Literal[Said, Labeled]
"""Of all comparisons that know several."""
