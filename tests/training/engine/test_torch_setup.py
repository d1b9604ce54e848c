import torch

from bothways.training.engine.torch_setup import torch_for_training


def settings_of_torch() -> tuple[object, ...]:
    return (
        torch.get_rng_state().tolist(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.get_num_threads(),
    )


def test_the_state_of_torch_is_restored() -> None:
    torch.manual_seed(5)
    before = settings_of_torch()
    with torch_for_training(torch.device("cpu"), threads=3):
        torch.manual_seed(6)
        torch.rand(3)
        assert torch.get_num_threads() == 3
        assert torch.are_deterministic_algorithms_enabled()
    assert settings_of_torch() == before


def test_threads_are_those_of_torch_by_default() -> None:
    before = torch.get_num_threads()
    with torch_for_training(torch.device("cpu"), threads=None):
        assert torch.get_num_threads() == before
