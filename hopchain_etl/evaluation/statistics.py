"""How surely is one model better than another? Intervals, tests and power for scores of questions that share photos.

Questions about one photo are not independent: a model that misreads the photo fails several of them. So the photo (the
*cluster*) is the unit everywhere. All functions are pure; scores are shares from 0 to 1, one a question. Cited:

- Liang & Zeger, Biometrika 73 (1986): the variance of a mean from the residual sums of clusters; for model evaluations
  E. Miller, Adding error bars to evals (arXiv 2411.00640).
- Korn & Graubard, Survey Methodology 24 (1998): a proportion's interval with the effective number of questions, here
  put into Wilson's (JASA 22, 1927).
- Bonett & Price, J. Educ. Behav. Stat. 37 (2012): two made-up pairs, one for each model, in the interval of a paired
  difference: it then covers in small sets too, and is never of no width.
- McNemar, Psychometrika 12 (1947); the mid-p form: Fagerland, Lydersen & Laake, BMC Med. Res. Methodol. 13 (2013);
  sums of a cluster as units: Durkalski et al., Statistics in Medicine 22 (2003).
- Holm, Scand. J. Statist. 6 (1979). Connor, Biometrics 43 (1987), page 209. Chen et al., arXiv 2107.03374 (pass@k).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEVEL = 0.95  # of all intervals
_NOISE = 1e-12  # a variance below it is rounding: nothing varies
_NORMAL = NormalDist()
_EXACT_STEPS = 1_000  # changed answers up to which McNemar's distribution is computed exactly
_DRAWS_AT_ONCE = 500


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; ``low`` and ``high`` are None where one photo or none cannot give any."""

    value: float
    low: float | None
    high: float | None

    def covers(self, truth: float) -> bool:
        """Return whether the interval contains a value; one without bounds contains none."""
        return self.low is not None and self.high is not None and self.low <= truth <= self.high


class Clusters:
    """Which questions share a photo; made once for a set of questions and used for all figures about it."""

    def __init__(self, names: Sequence[Hashable] | NDArray[np.generic]) -> None:
        """Take the photo of each question, under any name."""
        _, self.codes = np.unique(np.asarray(names), return_inverse=True)
        self.sizes: Floats = np.bincount(self.codes).astype(float)
        self.items, self.count = len(self.codes), len(self.sizes)

    def sums(self, values: ArrayLike) -> Floats:
        """Return the sum of each photo's values."""
        return np.bincount(self.codes, np.asarray(values, float), minlength=self.count).astype(float)

    def variance(self, values: ArrayLike) -> float:
        """Return the variance of the mean of ``values``; infinite with fewer than two photos."""
        if self.count < 2:
            return math.inf
        kept = np.asarray(values, float)
        return _variance(self.sums(kept - kept.mean()), self.items)


def _variance(residuals: Floats, items: int) -> float:
    """Return the variance of a mean of ``items`` from each cluster's sum of what its values differ from it."""
    return float(len(residuals) / (len(residuals) - 1) * (residuals @ residuals) / items**2)


def accuracy(scores: ArrayLike, clusters: Clusters, level: float = LEVEL, *, answers: float | None = None) -> Interval:
    """Return the mean score with Wilson's interval of as many independent answers as these are worth.

    They are never worth more than there are: ``answers``, if the scores are means of several, else one a question.
    """
    values = np.asarray(scores, float)
    mean = float(values.mean())
    variance = clusters.variance(values)
    if math.isinf(variance):
        return Interval(mean, None, None)
    # Nothing varies if all are right, or every photo is alike: then each counts as one question, never too many.
    worth = mean * (1 - mean) / variance if variance > _NOISE else clusters.count
    worth = min(worth, answers or clusters.items)
    t = t_quantile((1 + level) / 2, clusters.count - 1)
    spread = t * math.sqrt(mean * (1 - mean) / worth + (t / (2 * worth)) ** 2)
    middle, scale = mean + t * t / (2 * worth), 1 + t * t / worth
    return Interval(mean, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def difference(
    changes: ArrayLike, clusters: Clusters, groups: ArrayLike | None = None, level: float = LEVEL
) -> Interval:
    """Return the mean of paired differences (trained less baseline, from -1 to 1), with its interval.

    With ``groups``, a name for each question: the mean over groups of their means, each with the same weight; a photo
    may be in several groups.
    """
    values = np.asarray(changes, float)
    named = np.zeros(len(values)) if groups is None else np.asarray(groups)
    codes = np.unique(named, return_inverse=True)[1]
    sizes, sums = np.bincount(codes), np.bincount(codes, values)
    mean = float((sums / sizes).mean())
    if clusters.count < 2:
        return Interval(mean, None, None)
    items = sizes + 2  # with one made-up question for each model in each group, on a photo of its own
    middles, weights = sums / items, 1 / (len(sizes) * items)
    made_up = np.concatenate([(1 - middles) * weights, (-1 - middles) * weights])
    residuals = clusters.sums((values - middles[codes]) * weights[codes])
    middle, variance = float(middles.mean()), _variance(np.append(residuals, made_up), 1)
    spread = t_quantile((1 + level) / 2, clusters.count - 1) * math.sqrt(variance)
    return Interval(mean, max(-1.0, middle - spread), min(1.0, middle + spread))


def bootstrap(
    changes: ArrayLike, clusters: Clusters, *, seed: int, draws: int = 10_000, level: float = LEVEL
) -> Interval:
    """Return the mean with the percentile interval over resampled photos; the same seed gives the same interval.

    Photos with the same sum and number of questions are alike, so only how often each *kind* of photo is drawn is
    drawn: the same distribution, at a cost that does not grow with the number of photos.
    """
    values = np.asarray(changes, float)
    mean = float(values.mean())
    if clusters.count < 2:
        return Interval(mean, None, None)
    pairs = np.stack([clusters.sums(values).round(9), clusters.sizes])
    kinds, counts = np.unique(pairs, axis=1, return_counts=True)
    random = np.random.default_rng(seed)
    means: list[Floats] = []
    for start in range(0, draws, _DRAWS_AT_ONCE):
        drawn = random.multinomial(clusters.count, counts / clusters.count, min(_DRAWS_AT_ONCE, draws - start))
        totals = drawn @ kinds.T
        means.append(totals[:, 0] / totals[:, 1])
    low, high = np.quantile(np.concatenate(means), ((1 - level) / 2, (1 + level) / 2))
    return Interval(mean, float(low), float(high))


def mcnemar(balances: ArrayLike, *, mid: bool = True) -> float:
    """Return the two-sided p that the models are equally good: that each photo's balance is as likely with either sign.

    A balance is how many of a photo's answers became right, less those that became wrong. With one question a photo
    this is McNemar's test. Exact (``mid``: its mid-p form, which is not too careful) up to 1,000 changed answers in
    whole numbers, normal beyond. 1 if nothing changed.
    """
    steps = np.abs(np.asarray(balances, float))
    steps = steps[steps > 0]
    total = abs(float(np.sum(balances)))
    if not len(steps):
        return 1.0
    whole = bool(np.allclose(steps, steps.round(), atol=1e-6))
    if not whole or steps.sum() > _EXACT_STEPS:
        return math.erfc(total / math.sqrt(2 * float(steps @ steps)))
    odds = _of_signs(steps.round().astype(int))
    reach = len(odds) // 2
    at = round(total)
    beyond = float(odds[reach + at + 1 :].sum())
    return min(1.0, 2 * beyond + (1 if mid else 2) * float(odds[reach + at]) if at else 1.0)


def _of_signs(steps: NDArray[np.int_]) -> Floats:
    """Return how likely each sum of the steps with random signs is, from minus the sum of all to plus."""
    odds = np.ones(1)
    kinds, counts = np.unique(steps, return_counts=True)
    for step, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        alike = np.zeros(2 * step * count + 1)  # equal steps: how many of them go up is binomial
        alike[:: 2 * step] = [math.comb(count, ups) / 2**count for ups in range(count + 1)]
        odds = np.convolve(odds, alike)
    return odds


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the given order: below .05 holds for all of them together."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def smallest_difference(
    items: float, *, discordant: float, design_effect: float = 1.0, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest true difference that McNemar's test finds with this power; None above ``discordant``.

    Solves Connor's n = (z_a √ψ + z_b √(ψ - δ²))² / δ² for δ. ``discordant`` is ψ, the share of questions that only one
    of the models answers rightly, and ``design_effect`` how many questions of this set are worth one independent one,
    at least one: 600 independent questions with ψ = 0.25 find 0.057.
    """
    if items <= 0 or discordant <= 0:
        return None
    worth = items / max(1.0, design_effect)
    a, b = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    root = discordant * (a * a * worth - (worth + b * b) * (a * a - b * b))
    found = (math.sqrt(worth * discordant) * a + math.sqrt(max(0.0, root))) / (worth + b * b)
    return found if root >= 0 and found <= discordant else None


def finds(difference: Interval, level: float = LEVEL, power: float = 0.8) -> float | None:
    """Return the smallest true difference that an interval as wide as this one shows with this power."""
    if difference.low is None or difference.high is None:
        return None
    z = _NORMAL.inv_cdf((1 + level) / 2)
    return (difference.high - difference.low) / 2 * (1 + _NORMAL.inv_cdf(power) / z)


def design_effect(values: ArrayLike, clusters: Clusters) -> float:
    """Return the variance of the mean over photos, relative to that over questions as if they were independent.

    1 where that is not known: with fewer than two photos, or if nothing varies from photo to photo.
    """
    shared, alone = clusters.variance(values), Clusters(np.arange(clusters.items)).variance(values)
    known = clusters.count > 1 and min(shared, alone) > _NOISE
    return shared / alone if known else 1.0


def pass_at_k(right: ArrayLike, samples: ArrayLike, k: int) -> Floats:
    """Return for each question the unbiased estimate 1 - C(n-c, k) / C(n, k) that one of k samples is right.

    NaN where a question has fewer than k samples.
    """
    c, n = np.asarray(right, float), np.asarray(samples, float)
    steps = np.arange(k)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        miss = np.prod(np.maximum(0.0, (n - c - steps) / (n - steps)), axis=0)
    return np.where(n >= k, 1 - miss, np.nan)


def t_quantile(p: float, freedom: int) -> float:
    """Return Student's quantile for p above one half, within .1 % of the exact one.

    Exact for 1 and 2 degrees of freedom, else the expansion 26.7.5 of Abramowitz & Stegun.
    """
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    z = _NORMAL.inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))
