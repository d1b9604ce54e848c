"""As much of Ray as jobs use, in one process, with actors that die when a test wants it."""

import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["FakeRay"]


class RayError(Exception):
    """The actor died."""


class TaskError(RayError):
    """A method of an actor raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class FakeRay(ModuleType):
    """A module `ray`.

    dies: called with each task, as (method, arguments); whether the actor dies before it. killed:
    number of actors that were killed. started: of actors.
    """

    def __init__(self, cpus: int = 8, dies: Callable[[str, tuple[Any, ...]], bool] | None = None):
        super().__init__("ray")
        self.exceptions = type("exceptions", (), {"RayError": RayError, "RayTaskError": TaskError})
        self.dies = dies or (lambda method, arguments: False)
        self.cpus, self.started, self.killed = cpus, 0, 0
        self.options: dict[str, Any] = {}
        self.addresses: list[str] = []

    def init(self, address: str, **_: Any) -> None:
        if address == "missing":
            raise ConnectionError("nothing runs there")
        self.addresses.append(address)
        signal.signal(signal.SIGTERM, lambda *_: None)  # as Ray does

    def is_initialized(self) -> bool:
        return False

    def shutdown(self) -> None:
        self.addresses.append("")

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": self.cpus}},
            {"Alive": True, "Resources": {"CPU": 2, "GPU": 1}},
            {"Alive": False, "Resources": {"CPU": 64}},
        ]

    def remote(self, **options: Any) -> Callable[[type], "Any"]:
        self.options = options
        return lambda kind: _Remote(lambda *arguments: _Actor(self, kind(*arguments)))

    def wait(self, tasks: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return tasks[:1], tasks[1:]

    def get(self, task: Callable[[], Any]) -> Any:
        return task()

    def kill(self, actor: Any) -> None:
        self.killed += 1


class _Remote:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.remote = call


class _Actor:
    def __init__(self, ray: FakeRay, target: Any) -> None:
        ray.started += 1
        self._ray, self._target = ray, target

    def __getattr__(self, name: str) -> _Remote:
        return _Remote(lambda *arguments, **options: lambda: self._run(name, arguments, options))

    def _run(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self._ray.dies(name, arguments):
            raise RayError(f"the actor died before {name}{arguments}")
        try:
            return getattr(self._target, name)(*arguments, **options)
        except Exception as error:
            raise TaskError(error) from error
