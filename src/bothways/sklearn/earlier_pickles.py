"""Estimators that an earlier version of bothways pickled."""

import inspect
from typing import Any

from sklearn.base import BaseEstimator

from bothways.sklearn.notices import Notices

__all__ = ["ReadsEarlierPickles"]


class ReadsEarlierPickles(BaseEstimator):  # type: ignore[misc]
    """An estimator whose pickle may lack what a later version added.

    Parameters that are missing get their defaults, which do as the earlier version did.
    """

    _advice: str | None = None
    """As in `Notices`."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the attributes."""
        signature = inspect.signature(type(self).__init__)
        added = {name: p.default for name, p in signature.parameters.items() if name != "self"}
        super().__setstate__({**added, "_notices": Notices(self._advice), **state})
