"""How many positions may fail before a run stops: the ceiling of `on_error: quarantine`.

Whoever counts quarantined positions (an iterator after each block, an export over all its shards) asks `check` with the
totals so far. It holds no state, so processes may count apart and ask with their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasksource_reg.errors import error
from tasksource_reg.mixing.spec_parts import QuarantineLimitSpec

LEAST = 100
"""Positions in quarantine below which a fraction says nothing yet."""


@dataclass(frozen=True, slots=True)
class QuarantineLimit:
    """A ceiling on positions in quarantine.

    Attributes:
        rows: so many may fail; None: any number.
        fraction: of the positions computed, in [0, 1]; looked at once `LEAST` have failed. None: any.
    """

    rows: int | None = None
    fraction: float | None = None

    @classmethod
    def of(cls, spec: QuarantineLimitSpec) -> QuarantineLimit:
        """The limit of a mixture (`spec.quarantine_limit`)."""
        return cls(spec.rows, spec.fraction)

    def exceeded(self, quarantined: int, positions: int) -> str | None:
        """What is over the limit; None while nothing is.

        Args:
            quarantined: positions that gave no row.
            positions: positions that were computed, those among them.

        Example:
            >>> QuarantineLimit(fraction=0.2).exceeded(300, 1000)
            '300 of 1,000 positions are in quarantine, and the limit is 20% of them'
            >>> QuarantineLimit(fraction=0.2).exceeded(50, 60)
        """
        found = f"{quarantined:,} of {positions:,} positions are in quarantine, and the limit is "
        if self.rows is not None and quarantined > self.rows:
            return f"{found}{self.rows:,}"
        if self.fraction is not None and quarantined >= LEAST and quarantined > self.fraction * positions:
            percent = f"{100 * self.fraction:.4g}%"
            return f"{found}{percent} of them"
        return None

    def check(self, quarantined: int, positions: int, more: str | None = None) -> None:
        """Stops a run that is over the limit.

        Args:
            quarantined, positions: as of `exceeded`.
            more: the message of one of the rows that failed, or where they all stand.

        Raises:
            FindingsError: TSR-M018.
        """
        what = self.exceeded(quarantined, positions)
        if what is not None:
            raise error("TSR-M018", what if more is None else f"{what}; {more}")
