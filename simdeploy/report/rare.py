"""Small probabilities, and large numbers, as a person reads them."""

from __future__ import annotations

import math


def format_probability(probability: float, low: float, high: float) -> str:
    """Write a probability with its interval, with two digits of the half-width.

    Examples
    --------
    >>> format_probability(1.31e-6, 1.12e-6, 1.58e-6), format_probability(0.0512, 0.04, 0.07)
    ('1.31e-06 (1.12e-06 to 1.58e-06)', '5.1 % (4.0 to 7.0 %)')
    """
    half_width = (high - low) / 2
    if not half_width > 0 or not probability > 0:
        return f"{probability:.2g} (no interval)"
    if probability >= 1e-3:
        decimals = min(max(1 - math.floor(math.log10(100 * half_width)), 0), 6)
        return f"{100 * probability:.{decimals}f} % ({100 * low:.{decimals}f} to {100 * high:.{decimals}f} %)"
    exponent = math.floor(math.log10(probability))
    decimals = min(max(exponent - math.floor(math.log10(half_width)) + 1, 1), 4)
    return " ".join(
        word.format(f"{value:.{decimals}e}") for word, value in (("{}", probability), ("({}", low), ("to {})", high))
    )


def format_count(number: float) -> str:
    """Write a number with two digits, and in millions where it has many.

    Examples
    --------
    >>> format_count(768_123), format_count(71_400_000), format_count(3.4), format_count(2.6e12)
    ('770,000', '71 million', '3.4', '2.6e+12')
    """
    if not math.isfinite(number):
        return "unknown"
    if number <= 0:
        return "0"
    rounded = round(number, 1 - math.floor(math.log10(number)))
    if rounded >= 1e12:
        return f"{rounded:.1e}"
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if rounded >= size:
            return f"{rounded / size:.3g} {word}"
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
