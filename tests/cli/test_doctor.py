"""`bothways doctor`, also on machines where parts are missing."""

import importlib.util
import sys
from typing import Any

import pytest

from bothways.cli import doctor
from bothways.errors import BackendError, MissingExtra
from bothways.inference import backends
from bothways.installation import install_command
from bothways.native import available_isas, default_threads


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
    assert install_command("torch") in facts["backends"]["torch"]["because"]
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


@pytest.mark.parametrize(
    ("isa", "row"),
    [
        ("avx512vnni", "faster than fp32 with avx512vnni kernels: 3.3 times its speed"),
        (
            "plain",
            "slower than fp32 with plain kernels: 0.4 times its speed on Zen 4; sums in 32 bits",
        ),
        ("neon", "not measured with neon kernels; compare it with fp32"),
    ],
)
def test_the_speed_of_int8_is_that_of_the_kernels_in_use(
    isa: str, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTHWAYS_ISA", isa)
    assert doctor._int8_row(doctor._int8()).startswith(row)
    monkeypatch.delenv("BOTHWAYS_ISA")
    int8 = doctor._int8()
    assert int8 is not None
    assert int8["instruction_set"] == available_isas()[0]


@pytest.mark.parametrize(
    ("setting", "usable", "quota", "expected"),
    [
        ("3", 8, None, (3, "set by BOTHWAYS_THREADS")),
        ("", 8, None, (8, "one per core")),
        ("", 2, 1.5, (2, "the CPU quota of this process is 1.5 cores")),
        ("", 4, None, (4, "one for each of the 4 cores, of 8, that its affinity allows")),
        ("", 5000, None, (1024, "the most that the engine accepts")),
    ],
)
def test_the_default_number_of_threads_has_a_reason(
    setting: str, usable: int, quota: float | None, expected: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("BOTHWAYS_THREADS", setting)
    monkeypatch.setattr("bothways.native.backend.available_cpus", lambda: usable)
    monkeypatch.setattr("bothways.native.backend.cpu_quota", lambda: quota)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert default_threads() == expected
    assert doctor._threads_row(doctor._threads()).startswith(f"{expected[0]}: {expected[1]}; --thr")


def test_a_wrong_number_of_threads_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTHWAYS_THREADS", "many")
    assert doctor._threads_row(doctor._threads()).startswith("BOTHWAYS_THREADS=many: expected")


def test_without_the_engine_there_are_neither_threads_nor_int8(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.native.is_built", lambda: False)
    assert "not installed" in doctor._threads_row(doctor._threads())
    assert doctor._int8_row(doctor._int8()) == "needs the native engine"
