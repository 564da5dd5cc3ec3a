"""Groups of entities, each judged by its own calibration rows.

An entity with enough calibration rows for a quantile is a group of its own. The scores of the
others depend on how many rows their level and spread were estimated from, so that those with about
as many fit rows share a group. Neither depends on any score: a clean row is exchangeable with the
calibration rows of its group, and the quantile's promise holds in every group (Mondrian conformal
prediction: Vovk, Lindsay, Nouretdinov & Gammerman 2003). To rank the rows of all groups together,
a score is measured in cuts of its group:

    judged = score * cut of all calibration rows / cut of the group

An unknown entity is judged by all calibration rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.clean_counts import clean_above_cut
from aemodel.decisions.promises import groups_promise
from aemodel.decisions.rules import Cut, Decision, Rule, allowed_above
from aemodel.measured import Measured
from aemodel.rows.entities.scales import Entities
from aemodel.scores.p_values import p_values

# The first shared group has at least this many times the calibration rows that a quantile needs,
# less those of one entity; each further one has twice as many.
SHARED = 3

Scores = NDArray[np.float64]
Rows = NDArray[np.generic]
Groups = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class EntityGroups:
    """The groups for one score and a rule 'quantile q'.

    calibration: (n,), scores of all calibration rows, ascending. members: (n,), the group of each.
    of_entity: (e + 1,), the group of each entity. Groups are numbered from 0 to g - 1; g stands for
    all calibration rows, also in `of_entity`. own: number of entities with a group of their own.
    """

    entities: Entities
    rule: Rule
    calibration: Scores
    members: Groups
    of_entity: Groups
    own: int

    @cached_property
    def calibrations(self) -> tuple[Scores, ...]:
        """The calibration scores of each group, ascending; the last are those of all rows."""
        order = np.argsort(self.members, kind="stable")
        starts = np.searchsorted(self.members[order], np.arange(self.of_entity[-1] + 1))
        parts = np.split(self.calibration[order], starts)
        return *parts[1:-1], self.calibration

    @cached_property
    def cuts(self) -> Scores:
        """The score of each group, (g + 1,), above which its rows are flagged."""
        found = [part[-allowed_above(self.rule, len(part))] for part in self.calibrations]
        return np.array(found)

    @property
    def cut(self) -> float:
        """The judged score above which rows of any group are flagged."""
        return float(self.cuts[-1])

    @property
    def highest_flagged(self) -> float:
        """The p-value up to which rows of any group are flagged."""
        return float(1 - Fraction(self.rule.value))

    @cached_property
    def judged_calibration(self) -> Scores:
        """The judged scores of all calibration rows (n,), ascending."""
        return np.sort(self._judged(self.members, self.calibration))

    def judged(self, rows: Rows, scores: Scores) -> Scores:
        """Return the judged scores (m,) of rows (m, d) with these scores (m,)."""
        return self._judged(self.of_entity[self.entities.places(rows)], scores)

    def p_values(self, rows: Rows, scores: Scores) -> Scores:
        """Return the p-values (m,) of rows (m, d) with these scores (m,), each in its group."""
        groups, found = self.of_entity[self.entities.places(rows)], np.empty(len(scores))
        order = np.argsort(groups, kind="stable")
        for inside in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
            if len(inside):
                found[inside] = p_values(self.calibrations[groups[inside[0]]], scores[inside])
        return found

    def _judged(self, groups: Groups, scores: Scores) -> Scores:
        cuts = self.cuts[groups]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = self.cut * (scores / cuts)  # this product is the cut where score and cut agree
        above = np.where(scores > 0, np.nextafter(self.cut, np.inf) + scores, scores)
        found = np.where(cuts == 0, above, found)
        found = np.where(np.isinf(cuts), np.minimum(scores, self.cut), found)
        return np.where(cuts == self.cut, scores, found)


def entity_groups(
    entities: Entities | None, measured: Measured, by: str, rule: Rule
) -> EntityGroups | None:
    """Group entities for one of SCORES.

    None for rules other than 'quantile', where whole blocks were held out, and where the
    calibration rows of known entities are too few, or the cut of all is 0 or infinite.
    """
    members, calibration = measured.entities_by(by), measured.calibration_by(by)
    held_out = measured.blocks is not None and len(measured.blocks.cuts) > 0
    if entities is None or not len(members) or rule.kind != "quantile" or held_out:
        return None
    above = allowed_above(rule, len(calibration))
    if not above or not 0 < calibration[-above] < np.inf:
        return None
    needed = ceil(1 / (1 - Fraction(rule.value))) - 1
    counts = np.bincount(members, minlength=len(entities.keys) + 1)[:-1]
    if counts.sum() < needed:
        return None
    of_entity, own = _grouped(counts, entities.rows, needed)
    return EntityGroups(
        entities=entities,
        rule=rule,
        calibration=calibration,
        members=of_entity[members],
        of_entity=of_entity,
        own=own,
    )


def _grouped(
    counts: NDArray[np.int64], fit_rows: NDArray[np.int64], needed: int
) -> tuple[Groups, int]:
    """Return the group (e + 1,) of each entity, and how many have one of their own.

    counts, fit_rows: (e,), calibration and fit rows of each.
    """
    shared = counts < needed
    if shared.any() and counts[shared].sum() < needed and not shared.all():
        shared[np.argmin(np.where(shared, counts.max() + 1, counts))] = True
    of_entity = np.cumsum(~shared) - 1
    own = len(counts) - int(shared.sum())
    others = np.flatnonzero(shared)
    others = others[np.argsort(fit_rows[others], kind="stable")]
    of_entity[others] = own + _similar(counts[others], needed)
    return np.append(of_entity, of_entity.max() + 1), own


def _similar(counts: NDArray[np.int64], needed: int) -> Groups:
    """Return the shared group (k,), from 0, of entities in order, with these calibration rows."""
    total, first = np.cumsum(counts), SHARED * needed
    most = int(np.log2(total[-1] / first + 1)) if len(total) else 0
    stops = first * (2.0 ** np.arange(1, max(1, most)) - 1)
    return np.searchsorted(stops, total)


def rest_on_groups(
    decision: Decision, groups: EntityGroups | None, *, rows: int, above: int
) -> Decision:
    """Return the decision about a night with what it promises in every group.

    rows: of the night. above: those of them with a judged score above the cut. The expected number
    of flagged rows and its limit are those of a night whose entities are mixed as among the
    calibration rows.
    """
    if groups is None:
        return decision
    parts = groups.calibrations[:-1]
    allowed = sum(allowed_above(groups.rule, len(part)) for part in parts)
    expected, limit = clean_above_cut(rows, allowed, sum(map(len, parts)) + len(parts) - 1)
    share, known = 1 - Fraction(groups.rule.value), len(groups.entities.keys)
    return replace(
        decision,
        flagged=above,
        cut=Cut(groups.cut, -1),
        expected=expected,
        limit=limit,
        promise=groups_promise(share, known, groups.own, len(parts) - groups.own),
    )
