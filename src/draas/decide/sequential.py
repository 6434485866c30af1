"""Sequential tests of error rates: looked at as often as one likes, with stated error rates.

Both are test martingales: their expectation is at most 1 as long as the null hypothesis holds,
whatever was seen before. By Ville's inequality the chance that one ever reaches 1/α is then at most
α, however often and whenever somebody looks, and whenever somebody stops.

- **Is it worse?** Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests
  that allow for optional stopping" (2021). For a block of nₐ and n_b new requests with kₐ and k_b
  errors, and rates pₐ > p_b that were fixed before the block was seen,

      E = (pₐ/p₀)^kₐ ((1-pₐ)/(1-p₀))^(nₐ-kₐ) (p_b/p₀)^k_b ((1-p_b)/(1-p₀))^(n_b-k_b),
      p₀ = (nₐ pₐ + n_b p_b) / (nₐ + n_b).

  Its expectation is at most 1 for every pair of true rates of which the first is not greater, so
  that no rate has to be known. The rates are estimated from earlier blocks.
- **Is it below a limit, or above it?** The likelihood ratio of a mixture of rates on that side to
  the limit itself (Wald's test with a mixture; Robbins 1970). For a true rate at the limit or on
  the other side of it, each factor is at most 1 in expectation, for every rate of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log

PRIOR_ERRORS, PRIOR_REQUESTS = 0.18, 0.36
"""What the estimates begin with: the prior that loses least (Turner, Ly, Grünwald)."""
BELOW = (0.0, 0.01, 0.1, 0.3, 0.6)
"""The rates of the mixture, as shares of the limit."""
ABOVE = (0.03, 0.1, 0.3, 0.7)
"""The same above it, as shares of the way from the limit to 1."""


@dataclass(frozen=True, slots=True)
class Sample:
    """So many requests, and so many of them failed."""

    requests: int
    errors: int

    def __sub__(self, other: Sample) -> Sample:
        return Sample(self.requests - other.requests, self.errors - other.errors)

    @property
    def rate(self) -> float:
        """The share that failed; 0 of nothing."""
        return self.errors / self.requests if self.requests else 0.0


def worse(candidate: tuple[Sample, Sample], serving: tuple[Sample, Sample]) -> float:
    """The logarithm of E for one block; each pair is what was seen before it, and with it.

    Add it up over all blocks of a step: above log(1/α) the candidate is worse than what serves.
    """
    new_a, new_b = candidate[1] - candidate[0], serving[1] - serving[0]
    total = new_a.requests + new_b.requests
    a, b = _estimated(candidate[0]), _estimated(serving[0])
    if not total or a <= b:
        return 0.0
    middle = (new_a.requests * a + new_b.requests * b) / total
    return _log_ratio(new_a, a, middle) + _log_ratio(new_b, b, middle)


def below(sample: Sample, limit: float) -> float:
    """The logarithm of the evidence that errors are rarer than `limit`, out of all that was seen.

    Above log(1/β) it is so.
    """
    return _mixed(sample, [share * limit for share in BELOW], limit)


def above(sample: Sample, limit: float) -> float:
    """The same for errors that are more frequent than `limit`: above log(1/α) they are."""
    return _mixed(sample, [limit + share * (1 - limit) for share in ABOVE], limit)


def _mixed(sample: Sample, rates: list[float], limit: float) -> float:
    ratios = [_log_ratio(sample, rate, limit) for rate in rates]
    highest = max(ratios)
    if highest == -inf:
        return -inf
    return highest + log(sum(exp(each - highest) for each in ratios) / len(ratios))


def _estimated(seen: Sample) -> float:
    return (seen.errors + PRIOR_ERRORS) / (seen.requests + PRIOR_REQUESTS)


def _log_ratio(sample: Sample, rate: float, against: float) -> float:
    """The logarithm of how much likelier the sample is with one rate than with the other."""
    if rate == 0.0 and sample.errors:
        return -inf
    failed = sample.errors * log(rate / against) if sample.errors else 0.0
    return failed + (sample.requests - sample.errors) * log((1 - rate) / (1 - against))
