r"""inequalities of several symbols -> what each of them says about its own

"x > 0 \text{ and } y > 0" speaks of two numbers that have nothing to do with each other. Such a system is taken apart by
symbol, texts in and texts out; whether the parts are the same is asked elsewhere.
"""

from __future__ import annotations

from rstar_math.grading import reals


def by_symbol(text: str) -> dict[str, str]:
    """Symbol -> its inequalities, joined by "and"; empty unless each part speaks of one symbol, and all of more than one."""
    parts = [part for part in reals.AND.split(text) if part.strip()]
    symbols = [reals.symbols(part) for part in parts]
    if reals.OR.search(text) or not all(map(reals.relational, parts)) or any(len(each) != 1 for each in symbols):
        return {}
    system: dict[str, list[str]] = {}
    for (symbol,), part in zip(symbols, parts, strict=True):
        system.setdefault(symbol, []).append(part)
    return {symbol: " and ".join(said) for symbol, said in system.items()} if len(system) > 1 else {}
