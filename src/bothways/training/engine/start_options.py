"""How a run starts in its folder, and what is called as it proceeds."""

import dataclasses

from bothways.training.data.source import Stage, hidden_stage
from bothways.training.runs.events import EventCallback

__all__ = ["StartOptions"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartOptions:
    """How a run starts, and what is called as it proceeds.

    resume: resume from the newest checkpoint in the folder, or start if there is none yet.
    overwrite: replace the run in the folder.
    how_to_resume: what messages tell the user to add to the call or command.
    progress: called on the main process after each step and each validation.
    stage: opens a context for work before the first step, to show its progress.
    validate_first: whether a new run validates its weights before the first step, because they are
        good already.
    """

    resume: bool = False
    overwrite: bool = False
    how_to_resume: str = "resume=True"
    progress: EventCallback | None = None
    stage: Stage = hidden_stage
    validate_first: bool = False
