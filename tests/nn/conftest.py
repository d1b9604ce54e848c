"""What the tests of the torch backend share: how much memory a call takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.profiler import ProfilerActivity, profile


@pytest.fixture
def peak_bytes(tmp_path: Path) -> Callable[[Callable[[], object]], int]:
    """The most memory that torch's allocator handed out at once during a call, on a CPU."""

    def measure(call: Callable[[], object]) -> int:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            call()
        profiled.export_chrome_trace(str(tmp_path / "trace.json"))
        trace = json.loads((tmp_path / "trace.json").read_text())
        events = [e for e in trace["traceEvents"] if e.get("name") == "[memory]"]
        events.sort(key=lambda event: event["ts"])
        totals = [int(event["args"]["Total Allocated"]) for event in events]
        return max(totals) - (totals[0] - int(events[0]["args"]["Bytes"]))

    return measure
