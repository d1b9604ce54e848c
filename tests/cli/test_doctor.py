"""`bothways doctor`, also on machines where parts are missing."""

import importlib.util
import sys
from typing import Any

import pytest

from bothways.cli import doctor
from bothways.errors import BackendError, MissingExtra
from bothways.inference import backends


def test_every_working_backend_has_been_tried() -> None:
    facts = doctor.describe()
    assert facts["backends"]["reference"] == {
        "works": True,
        "backend": "reference",
        "device": "cpu",
        "precisions": ["fp32"],
    }
    assert facts["used"]["works"]
    assert facts["used"]["backend"] in facts["backends"]
    assert facts["cpu"]["usable_cores"] >= 1


def test_a_cpu_quota_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "cpu_quota", lambda: 2.5)
    monkeypatch.setattr(doctor, "available_cpus", lambda: 3)
    facts = doctor.describe()
    assert (facts["cpu"]["usable_cores"], facts["cpu"]["quota"]) == (3, 2.5)
    assert "of which this process may use 3 (its CPU quota is 2.5 cores)" in doctor._page(facts)


def test_the_rule_for_training_threads_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_cpus", lambda: 3)
    facts = doctor.describe()
    facts["torch"]["threads"] = 8
    assert "one per 400 million multiply-adds of a step's forward pass, at most 3;" in doctor._page(
        facts
    )


def test_a_missing_or_broken_backend_states_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    create = backends.create_backend

    def create_some(name: Any, *arguments: Any, **options: Any) -> Any:
        match name:
            case "native":
                raise BackendError("this build has no engine")
            case "torch":
                raise MissingExtra("torch", "the torch backend")
            case "auto":
                raise OSError("libsomething.so.7 is missing")
        return create(name, *arguments, **options)

    monkeypatch.setattr(backends, "create_backend", create_some)
    facts = doctor.describe()
    assert facts["backends"]["native"] == {"works": False, "because": "this build has no engine"}
    assert "bothways[torch]" in facts["backends"]["torch"]["because"]
    assert facts["backends"]["reference"]["works"]
    assert "libsomething" in facts["used"]["why"]
    assert "--backend reference" in facts["used"]["why"]
    assert "no: this build has no engine" in doctor._page(facts)


@pytest.mark.parametrize(
    ("auto", "why"),
    [
        ({"works": True, "backend": "torch", "device": "cuda"}, "torch sees a GPU"),
        ({"works": True, "backend": "native", "device": "cpu"}, "native is the fastest on a CPU"),
        (
            {"works": True, "backend": "torch", "device": "cpu"},
            "native does not work here: no engine",
        ),
    ],
)
def test_the_reason_matches_the_chosen_backend(auto: dict[str, Any], why: str) -> None:
    assert why in doctor._why(auto, {"native": {"works": False, "because": "no engine"}})


def test_a_broken_torch_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bothways.nn.devices", None)  # importing it fails
    assert "broken" in (doctor._torch() or {})
    assert "cannot be imported" in doctor._torch_rows({"broken": "no libtorch"}, 2)[0][1]


def test_without_torch_its_lines_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor._torch() is None
    assert doctor._torch_rows(None, 2) == []


def test_instruction_sets_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cpuinfo", dict)
    assert doctor._instruction_sets() is None
    monkeypatch.setattr(doctor, "_cpuinfo", lambda: {"flags": "fpu avx2 avx512f"})
    assert doctor._instruction_sets() == ["avx2", "avx512f"]
    monkeypatch.setattr(doctor, "_cpuinfo", lambda: {"Features": "fp asimd i8mm"})
    assert doctor._instruction_sets() == ["asimd", "i8mm"]
