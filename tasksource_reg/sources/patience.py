"""Trying again: one mechanism for everything that asks the hub for something.

Which errors are worth another try is said by `failures`: while a source is opened only an answer that says so
(`is_passing`), while rows are read also a connection that broke (`is_passing_read`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tasksource_reg.sources.failures import is_passing

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Waits between tries. The hub's client waits too, inside each of them."""

T = TypeVar("T")


def patiently(act: Callable[[], T], passing: Callable[[BaseException], bool] = is_passing) -> T:
    """The result of an action, tried again after each wait of `RETRY_SECONDS` while what goes wrong may pass.

    Args:
        act: the action; what it has done before it failed must do no harm when it is done again.
        passing: tells errors after which it is tried again from those that are raised at once.

    Raises:
        Exception: what the action raises, of the last try if it was tried several times.
    """
    for seconds in RETRY_SECONDS:
        try:
            return act()
        except Exception as exc:
            if not passing(exc):
                raise
        time.sleep(seconds)
    return act()
