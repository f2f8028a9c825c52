"""The sandbox's benchmark: what is compared is measured in turn, on real sandboxes."""

import asyncio

from rstar_math.bench.ratios import Cost, Ratio, _in_turn, ratios


def test_two_costs_are_measured_in_turn_and_the_median_of_their_ratios_counts() -> None:
    measured: list[float] = []

    def costs(*found: float) -> Cost:
        left = iter(found)

        async def measure() -> float:
            measured.append(next(left))
            return measured[-1]

        return measure

    found = asyncio.run(_in_turn(costs(2, 8, 9), costs(1, 2, 3), 3))
    assert measured == [2, 1, 8, 2, 9, 3]
    assert found == Ratio(median=3, low=2.5, high=3.5)


def test_every_ratio_that_the_design_promises_is_found_on_real_sandboxes() -> None:
    found = asyncio.run(ratios(rounds=1, depth=2))
    assert len(found) == 7
    assert all(ratio.low == ratio.median == ratio.high > 0 for ratio in found.values())
    assert found["cold process / sympy step"].median > 1 > found["exec in a warm process / sympy step"].median
