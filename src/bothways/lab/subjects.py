"""What can be compared, and how thoroughly: names that cost nothing to import."""

from typing import Literal

__all__ = ["Scale", "Subject"]

Subject = Literal["bottleneck", "speed"]

Scale = Literal["quick", "default", "full"]
"""How long it takes: seconds, to see that it works; at most ten minutes on two cores; longer."""
