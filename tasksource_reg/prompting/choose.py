"""Which template each row takes: a pure function of keys, so that a new template takes only the rows that fall to it.

`hash` is rendezvous hashing (Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996): each template
draws 64 bits for the row, and the highest draw wins. Weights use the logarithmic method (Schindelhauer and Schomaker,
"Weighted distributed hash tables", SPAA 2005): the highest weight / -log(u) wins. `round_robin` goes by the row's
occurrence number. Rows that cannot have their first choice take the next best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.keyed import Bits, Integers, draw, further, stream_key
from tasksource_reg.nested import Ints, Mask
from tasksource_reg.prompting.model import Template

Method: TypeAlias = Literal["hash", "round_robin"] | Mapping[str, float]

NONE = -1
"""Stands for a row that no template may have."""


def choose(
    method: Method,
    templates: Sequence[Template],
    key: int,
    *counters: Integers,
    occurrence: Ints | None = None,
    eligible: Sequence[Mask | None] | None = None,
) -> Ints:
    """The template of each row.

    Args:
        method: `hash`, `round_robin`, or weights by template id; templates without a weight are never chosen.
        templates: k templates, in the order of `TemplateLibrary.for_task` (by id).
        key: a stream key, such as `stream_key(seed, "template", task_id, split)`.
        counters: what tells rows apart: row, part, epoch; int64 arrays of n rows, or integers.
        occurrence: int64 [n], how often the task came before; for `round_robin`.
        eligible: for each template which of the n rows it may have; None for all.

    Returns:
        int64 [n], indices into `templates`; `NONE` where no template may have the row.

    Raises:
        UsageError: TSR-U007, a weight for a template that is not among the templates.
        FindingsError: TSR-M003, a weight that is not a positive number.
    """
    masks = list(eligible) if eligible is not None else [None] * len(templates)
    if method == "round_robin":
        if occurrence is None:
            raise ValueError("round_robin needs occurrence numbers")
        return _round_robin(np.asarray(occurrence, dtype=np.int64), masks)
    weights = None if method == "hash" else _weights(method, templates)
    if len(templates) == 1 and weights is None:
        n = np.broadcast(*(np.atleast_1d(np.asarray(c)) for c in counters)).size
        return np.zeros(n, np.int64) if masks[0] is None else np.where(masks[0], 0, NONE)
    row_bits = np.atleast_1d(draw(key, *counters))
    chosen = np.full(len(row_bits), NONE, dtype=np.int64)
    best = np.zeros(len(row_bits), dtype=np.uint64 if weights is None else np.float64)
    for i, template in enumerate(templates):
        if weights is not None and template.id not in weights:
            continue
        bits = further(row_bits, np.uint64(stream_key(template.id)))
        # the largest score wins; 0 is below every score
        score = bits | np.uint64(1) if weights is None else weights[template.id] / negative_log(bits)
        mask = masks[i]
        if mask is not None:
            score *= mask
        np.copyto(chosen, i, where=score > best)
        np.maximum(best, score, out=best)
    return chosen


def negative_log(bits: Bits) -> npt.NDArray[np.float64]:
    """-log(u) for u = (bits' upper 53 bits + 1/2) / 2**53, by additions, products and quotients only.

    IEEE 754 fixes those to the last bit, which it does not for `log`: choices come out the same on every machine.

    Args:
        bits: uint64 draws.

    Returns:
        float64, at least 0; exact to about 1e-13 of the value.
    """
    u = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    mantissa, exponent = np.frexp(u)  # u = mantissa * 2**exponent, mantissa in [1/2, 1)
    s = (mantissa - 0.7071067811865476) / (mantissa + 0.7071067811865476)  # log(m / sqrt(1/2)) = 2 artanh(s)
    square = s * s
    series = np.zeros_like(s)
    for k in range(25, 0, -2):  # s <= 0.172, so 13 terms leave less than 1e-20
        series = series * square + 1.0 / k
    return -(2.0 * s * series + (exponent - 0.5) * 0.6931471805599453)


def _round_robin(occurrence: Ints, masks: Sequence[Mask | None]) -> Ints:
    """Template number `occurrence mod k`, or the next one in the circle that may have the row."""
    k = len(masks)
    chosen = np.full(len(occurrence), NONE, dtype=np.int64)
    if not k:
        return chosen
    allowed = np.stack([np.ones(len(occurrence), dtype=bool) if mask is None else mask for mask in masks])
    rows = np.arange(len(occurrence))
    for step in range(k):
        at = (occurrence + step) % k
        free = (chosen == NONE) & allowed[at, rows]
        chosen[free] = at[free]
    return chosen


def _weights(method: object, templates: Sequence[Template]) -> dict[str, float]:
    if not isinstance(method, Mapping):
        raise error(
            "TSR-U005", f'there is no way "{method}" to choose templates', fix="hash, round_robin, or {id: weight}"
        )
    ids = [t.id for t in templates]
    for template_id, weight in method.items():
        if template_id not in ids:
            message = f'no template "{template_id}" fits the task'
            raise error("TSR-U007", message, fix=did_you_mean(str(template_id), ids))
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < float("inf"):
            raise error("TSR-M003", f'the weight of "{template_id}" is {weight}')
    return {template_id: float(weight) for template_id, weight in method.items()}
