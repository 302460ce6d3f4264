"""Writes test/core/statistics/references.json: reference values of the statistics, from mpmath and confseq.

Needs Python 3 with `pip install mpmath confseq` (confseq builds against Boost headers). Run it from the
repository's root (about 4 minutes), then format what it wrote:
    python3 tools/statistics-references.py && npx biome format --write test/core/statistics/references.json
"""

import json
import math
import random

from confseq.boundaries import beta_binomial_log_mixture
from mpmath import betainc, exp, log, loggamma, mp, mpf, quad, sqrt

mp.dps = 30
GAMMA = mpf("1.005") / mpf("0.995")


def log_beta(a, b):
    return loggamma(mpf(a)) + loggamma(mpf(b)) - loggamma(mpf(a) + mpf(b))


def log_integral(a, b, low, high):
    """ln of the integral of t^(a-1) (1-t)^(b-1) from low to high: by series, or by quadrature around the peak."""
    a, b, low, high = map(mpf, (a, b, low, high))
    if min(a, b) < 1 or max(a, b) <= 30:
        return log(betainc(a, b, low, high))
    g = lambda t: (a - 1) * log(t) + (b - 1) * log(1 - t)
    peak = min(max((a - 1) / (a + b - 2), low, mpf(10) ** -25), high, 1 - mpf(10) ** -25)
    shift = g(peak)
    slope = abs((a - 1) / peak - (b - 1) / (1 - peak))
    curvature = (a - 1) / peak**2 + (b - 1) / (1 - peak) ** 2
    width = min(1 / slope if slope > 0 else mpf(1), 1 / sqrt(curvature))
    points, step = {peak}, width
    while step < 2000 * width:
        points |= {min(peak + step, high), max(peak - step, low)}
        step *= 2
    return shift + log(quad(lambda t: exp(g(t) - shift), sorted(points)))


def log_tails(x, a, b):
    """Both regularised tails; the larger one from the smaller."""
    whole = log_beta(a, b)
    if mpf(x) < mpf(a) / (mpf(a) + mpf(b)):
        lower = log_integral(a, b, 0, x) - whole
        return lower, log(1 - exp(lower))
    upper = log_integral(a, b, x, 1) - whole
    return log(1 - exp(upper)), upper


def above(k, n, bound, mean, strength):
    a, b, bound = mpf(mean) * strength, (1 - mpf(mean)) * strength, mpf(bound)
    posterior = log_integral(a + k, b + n - k, bound, 1)
    return posterior - log_integral(a, b, bound, 1) - k * log(bound) - (n - k) * log(1 - bound)


def below(k, n, bound, mean, strength):
    return above(n - k, n, 1 - mpf(bound), 1 - mpf(mean), strength)


def tails():
    cases = [
        (0.5, 0.5, 0.5), (1.43, 8.57, 0.1428), (3, 7, 0.01), (3, 7, 0.99), (10, 10, 1e-8), (0.01, 0.02, 0.3),
        (1e-3, 5, 0.1), (1e3, 1e5, 0.005), (1e3, 1e5, 0.01), (1e3, 1e5, 0.02), (1e5, 1e6, 0.0909),
        (1e5, 1e6, 0.1), (9.5e5, 5e4, 0.94), (9.5e5, 5e4, 0.95), (9.5e5, 5e4, 0.96), (200, 2000, 0.5),
        (2000, 200, 0.2), (5, 1e6, 1e-6), (5, 1e6, 1e-4), (1e7, 1e7, 0.5005),
    ]
    for a, b, x in cases:
        lower, upper = log_tails(x, a, b)
        yield dict(a=a, b=b, x=x, logBeta=float(log_beta(a, b)), lower=float(lower), upper=float(upper))


def rates():
    cases = [
        (0, 0, 0.14, 0.25, 10), (0, 40, 0.14, 0.25, 10), (7, 20, 0.14, 0.25, 10), (200, 2000, 0.14, 0.25, 10),
        (400, 2000, 0.14, 0.25, 10), (40, 60, 0.6, 0.75, 10), (3, 900, 0.01, 0.004, 500), (951, 1000, 0.95, 0.9, 30),
        (90000, 100000, 0.95, 0.9, 30), (99000, 100000, 0.95, 0.9, 30), (12.5, 90.25, 0.1, 0.2, 10),
    ]
    for k, n, bound, mean, strength in cases:
        row = dict(successes=k, trials=n, bound=bound, prior=dict(mean=mean, strength=strength))
        yield dict(row, above=float(above(k, n, bound, mean, strength)), below=float(below(k, n, bound, mean, strength)))


def confseq():
    """confseq fixes the prior's mean at the bound and its strength by v_opt: r = rho(v_opt) - g h."""
    alpha_opt = 0.05
    for k, n, bound, v_opt in [(30, 100, 0.2, 10), (5, 100, 0.2, 10), (300, 1000, 0.25, 50), (60, 1000, 0.05, 5),
                               (55000, 100000, 0.5, 1000), (9700, 10000, 0.95, 100)]:
        g, h = bound, 1 - bound
        row = dict(successes=k, trials=n, bound=bound)
        s, v = k - n * bound, n * g * h
        for one_sided in (True, False):
            two_alpha = (2 if one_sided else 1) * alpha_opt
            rho = v_opt / (2 * math.log(1 / two_alpha) + math.log(1 + 2 * math.log(1 / two_alpha)))
            r = rho - g * h
            value = float(beta_binomial_log_mixture(s, v, v_opt, g, h, alpha_opt, one_sided))
            yield dict(row, oneSided=one_sided, prior=dict(mean=bound, strength=r / (g * h)), logEvidence=value)


def histogram(values):
    counts = {}
    for value in values:
        bucket = math.ceil(math.log(value) / math.log(1.005 / 0.995))
        counts[bucket] = counts.get(bucket, 0) + 1
    return sorted(counts.items())


def at_or_below(pairs, bucket):
    return sum(count for index, count in pairs if index <= bucket)


def quantile(p, margin, share, legacy, candidate, direction):
    """The minimum over all cells, one by one."""
    p, n = mpf(p), {"legacy": sum(c for _, c in legacy), "candidate": sum(c for _, c in candidate)}

    def prior(odds, weight):
        return 1 / (1 + odds * (1 - p) / p), weight / (p * (1 - p))

    if direction == "exceeds":
        ratio, larger, smaller, n1, n2 = 1 + mpf(margin), candidate, legacy, n["candidate"], n["legacy"]
        prior1, prior2 = prior(exp(mpf("0.7") * (1 - mpf(share))), 8), prior(exp(-mpf(share)), 40)
    else:
        ratio, larger, smaller, n1, n2 = 1 / (1 + mpf(margin)), legacy, candidate, n["legacy"], n["candidate"]
        prior1, prior2 = prior(1 / mpf("0.85"), 15), prior(1 / mpf(1.5), 5)
    shift = log(ratio) / log(GAMMA)
    memo = {}

    def evidence(side, k):
        if (side, k) not in memo:
            memo[side, k] = below(k, n1, p, *prior1) if side == 1 else above(k, n2, p, *prior2)
        return memo[side, k]

    first = int(min(larger[0][0], smaller[0][0] + shift)) - 3
    last = int(max(larger[-1][0], smaller[-1][0] + shift)) + 3
    return min(
        evidence(1, at_or_below(larger, i)) + evidence(2, at_or_below(smaller, math.floor(i - 1 - shift)))
        for i in range(first, last + 1)
    )


def quantiles():
    draw = random.Random(5)
    for p, margin, factor, n_legacy, n_candidate in [(0.95, 0.5, 2, 900, 100), (0.5, 0.1, 1, 400, 400),
                                                     (0.95, 0.2, 1, 1500, 1500), (0.99, 0.5, 3, 1800, 200)]:
        share = n_candidate / (n_legacy + n_candidate)
        legacy = histogram(1000 * draw.lognormvariate(0, 0.6) for _ in range(n_legacy))
        candidate = histogram(1000 * factor * draw.lognormvariate(0, 0.6) for _ in range(n_candidate))
        for direction in ("exceeds", "within"):
            value = float(quantile(p, margin, share, legacy, candidate, direction))
            yield dict(p=p, margin=margin, share=share, direction=direction, legacy=legacy, candidate=candidate,
                       logEvidence=value)


references = dict(
    tails=list(tails()), rates=list(rates()), confseq=list(confseq()), quantiles=list(quantiles())
)
with open("test/core/statistics/references.json", "w") as file:
    file.write("{\n" + ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for name, rows in references.items()
    ) + "\n}\n")
