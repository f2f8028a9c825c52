"""How is a quantity worded?

number -> the few characters a person reads. It rounds for the eye only; files keep every digit.
"""

from __future__ import annotations

#: What stands where nothing was measured.
NOTHING = "–"


def duration(seconds: float) -> str:
    """3.2s, 45s, 1m07s, 2h05m."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h{minutes % 60:02d}m"


def rate(per_second: float) -> str:
    """120/s, 8.3/s, and by the minute what is slower than one in two seconds: 6.0/min."""
    if per_second >= 99.5:
        return f"{per_second:.0f}/s"
    if per_second >= 0.5:
        return f"{per_second:.1f}/s"
    return f"{per_second * 60:.1f}/min"


def count(value: float) -> str:
    """1.24 M, 980 k; a dash for none."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} " if value else NOTHING


def in_bytes(value: float) -> str:
    """1.24 MB, 980 kB; a dash for none."""
    return f"{count(value)}B" if value else NOTHING


def percent(share: float | None, digits: int = 1) -> str:
    """0.433 -> 43.3; a dash for None. The percent sign stands in the table's legend."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}"


def number(value: float | str) -> str:
    """At most four significant digits of a number that is not whole; text and whole numbers as they are."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
