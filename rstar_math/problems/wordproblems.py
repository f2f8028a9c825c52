"""seed, count, levels -> grade-school word problems with exact answers and short reference solutions.

A problem is a story: an opening quantity, events that change it, sometimes an aside that does not, a question. Its level
is the number of computing steps, 1 to 6. Operations, wordings, names, numbers and order are drawn from a seeded stream.
The pipeline uses `WordProblem.problem` alone; only the seedling's own training sees `steps`.

Splits are disjoint by construction: a question belongs to the split that the hash of its text falls into. The `solved`
split keeps to the schoolbook wordings (the head of each list in the lexicon); the other three draw from all of them, so a
model grown on solved problems can compute but does not know every word. This module trains nothing and grades nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Literal, NamedTuple

from rstar_math import text
from rstar_math.problems import wordproblems_lexicon as lexicon
from rstar_math.problems.wordproblems_operations import HALF, OPERATIONS, Number
from rstar_math.records import Problem, Step
from rstar_math.rng import derive, stream

Split = Literal["solved", "train", "heldout", "ppm-validation"]
#: Which sixteenths of all possible questions belong to each split.
SHARES: dict[Split, range] = {
    "solved": range(4),
    "train": range(4, 10),
    "heldout": range(10, 13),
    "ppm-validation": range(13, 16),
}
LEVELS = range(1, 7)
#: How much of a wording list's probability the schoolbook knows, and how slowly wordings grow rare (a shifted Zipf law).
SCHOOLBOOK_SHARE = 0.3
RARITY_SHIFT = 10
ASIDE_CHANCE = 0.35
#: How often a story tells the last digit of a whole answer: such a solution can be checked at its end.
ENDING_CHANCE = 0.8
DECIMAL_CHANCE = 0.12
_NUMBER = re.compile(r"\d[\d./]*\d|\d")


class WordProblem(NamedTuple):
    """A problem with its reference solution: the texts of all its steps, code first, the stated answer last."""

    problem: Problem
    steps: tuple[str, ...]

    @property
    def solution(self) -> tuple[Step, ...]:
        """The reference steps as the renderer takes them: the step that ends the code carries its output."""
        answer = self.problem.answer
        return tuple(Step(step, answer if step.endswith(text.CODE_END) else None) for step in self.steps)


class Story(NamedTuple):
    """A story under way: sentences, code lines, the quantity, and how the next step writes it (`12` or `x`)."""

    sentences: tuple[str, ...]
    code: tuple[str, ...]
    quantity: Number
    written: str


class Cast(NamedTuple):
    """Who and what a story is about."""

    name: str
    pronoun: str
    other: str
    thing: str


def generate(seed: int, count: int, levels: Sequence[int] = LEVELS, split: Split = "train") -> list[WordProblem]:
    """`count` distinct problems of one split, whose levels go round through `levels`.

    The same seed gives the same problems, and a larger count begins with the smaller one's.

    Raises:
        ValueError: a level outside 1..6, or an unknown split.
    """
    if split not in SHARES or not set(levels) <= set(LEVELS):
        raise ValueError(f"got split {split!r} and levels {list(levels)}; expected one of {list(SHARES)} and 1..6")
    problems: list[WordProblem] = []
    seen: set[str] = set()
    for index in range(count):
        level = levels[index % len(levels)]
        draws = stream(seed, "wordproblem", split, index)
        found = _draw_until_new(draws, level, split, seen)
        seen.add(normalised(found.problem.question))
        problems.append(found._replace(problem=found.problem._replace(id=f"word-{split}-{seed}-{index}")))
    return problems


def normalised(question: str) -> str:
    """The text by which two questions are the same: letters, digits and number signs, in lower case."""
    return " ".join(re.findall(r"[a-z]+|[\d./]*\d", question.lower()))


def split_of(question: str) -> Split:
    """The one split that may hold this question."""
    sixteenth = derive(0, "split", normalised(question)) % 16
    return next(split for split, share in SHARES.items() if sixteenth in share)


def _draw_until_new(draws: random.Random, level: int, split: Split, seen: set[str]) -> WordProblem:
    while True:
        found = _word_problem(draws, level, schoolbook=split == "solved")
        if found is None or split_of(found.problem.question) != split:
            continue
        if normalised(found.problem.question) not in seen:
            return found


def _word_problem(draws: random.Random, level: int, *, schoolbook: bool) -> WordProblem | None:
    """One drawn story of exactly `level` steps; None where the draw came to nothing (no number fits, one occurs twice)."""
    cast = _cast(draws)
    story = _opening(draws, cast, level)
    aside_after = draws.randrange(level + 1) if draws.random() < ASIDE_CHANCE else None
    while len(story.code) < level:
        if aside_after is not None and len(story.code) >= aside_after:
            story = story._replace(sentences=(*story.sentences, _aside(draws, cast, schoolbook)))
            aside_after = None
        grown = _event(draws, story, cast, left=level - len(story.code), schoolbook=schoolbook)
        if grown is None:
            return None
        story = grown
    if not story.sentences[-1].endswith("?"):
        story = story._replace(sentences=(*story.sentences, f"{draws.choice(lexicon.NOW)}?"))
    if draws.random() < ENDING_CHANCE and isinstance(story.quantity, int):
        story = _checked(draws, story)
    question = " ".join(story.sentences)
    numbers = _NUMBER.findall(question)
    answer = str(story.quantity)
    # Twice the same number would leave open which clause a step came from; a round float would print as `7.0`.
    if len(set(numbers)) < len(numbers) or answer.endswith(".0"):
        return None
    return WordProblem(
        Problem("", question, answer, level=str(level), source="wordproblems"), _steps(story.code, answer)
    )


def _checked(draws: random.Random, story: Story) -> Story:
    """The story with a sentence, before its question, on how the answer ends; its code checks that."""
    digit = str(story.quantity)[-1]
    told = draws.choice(lexicon.ENDING).replace("D", digit)
    sentences = (*story.sentences[:-1], f"{told[0].upper()}{told[1:]}.", story.sentences[-1])
    code = (*story.code[:-1], f"{story.code[-1]}\nassert x % 10 == {digit}")
    return story._replace(sentences=sentences, code=code)


def _steps(code: tuple[str, ...], answer: str) -> tuple[str, ...]:
    *early, last = code
    steps = [f"{step}\n{text.STEP_END}" for step in early] + [f"{last}\nprint(x)\n{text.CODE_END}"]
    steps[0] = f"{text.CODE_START}\n{steps[0]}"
    return (*steps, answer_step(answer))


def answer_step(answer: str) -> str:
    """The text of the step that states the answer."""
    return f"{text.ANSWER_START}The answer is \\boxed{{{answer}}}.\n{text.ANSWER_END}"


def _cast(draws: random.Random) -> Cast:
    pronoun, names = draws.choice((("She", lexicon.SHE), ("He", lexicon.HE)))
    name = draws.choice(names)
    other = draws.choice([someone for someone in lexicon.SHE + lexicon.HE if someone != name])
    return Cast(name, pronoun, other, draws.choice(lexicon.THINGS))


def _opening(draws: random.Random, cast: Cast, level: int) -> Story:
    """A plain quantity, or one that takes steps of its own: so many bags of so many, two kinds, a sum and a difference."""
    if draws.random() < DECIMAL_CHANCE:
        quantity = draws.randint(8, 99) + draws.choice((0.25, 0.5, 0.75))
        return Story((f"{cast.name} has {quantity} {draws.choice(lexicon.MEASURES)}.",), (), quantity, str(quantity))
    kind = draws.choices(("plain", "bags", "kinds", "difference"), (70, 12, 12, 6 if level > 1 else 0))[0]
    if kind == "bags":
        bags, each = draws.sample(range(3, 16), 2)
        sentence = f"{cast.name} has {bags} {draws.choice(lexicon.HOLDERS)} of {each} {cast.thing}."
        return Story((sentence,), (f"# all of them\nx = {bags} * {each}",), bags * each, "x")
    if kind == "kinds":
        first, second = draws.sample(range(3, 80), 2)
        one, two = draws.sample(lexicon.KINDS, 2)
        sentence = f"{cast.name} has {first} {one} and {second} {two} {cast.thing}."
        return Story((sentence,), (f"# both kinds\nx = {first} + {second}",), first + second, "x")
    if kind == "difference":
        fewer, more = draws.randint(6, 60), draws.randint(2, 40)
        sentence = f"{cast.name} and {cast.other} share {2 * fewer + more} {cast.thing}, {cast.other} gets {more} more."
        code = (f"# without the difference\nx = {2 * fewer + more} - {more}", f"# one of two\n{HALF.format(x='x')}")
        return Story((sentence,), code, fewer, "x")
    quantity = draws.randint(8, 150)
    return Story((f"{cast.name} has {quantity} {cast.thing}.",), (), quantity, str(quantity))


def _event(draws: random.Random, story: Story, cast: Cast, *, left: int, schoolbook: bool) -> Story | None:
    """The story with one more operation of at most `left` steps; None where no number fits the one drawn."""
    whole = isinstance(story.quantity, int)
    fitting = [
        operation
        for operation in OPERATIONS
        if len(operation.lines) <= left and (whole or operation.decimals) and (not operation.closes or left == 1)
    ]
    operation = draws.choices(fitting, [each.weight for each in fitting])[0]
    number = operation.draw(draws, story.quantity)
    if number is None:
        return None
    above, _, below = number.partition("/")
    fields = {"n": number, "a": above, "b": below}
    first = {**fields, "x": story.written}
    code = tuple(f"{line.comment}\n{line.code}".format(**first) for line in operation.lines)
    sentences = tuple(_sentence(draws, wordings, number, cast, schoolbook) for wordings in operation.wordings)
    mark = "?" if operation.closes else "."
    told = (*story.sentences, *(f"{sentence}{mark}" for sentence in sentences))
    return Story(told, story.code + code, operation.apply(story.quantity, number), "x")


def _sentence(draws: random.Random, wordings: tuple[str, ...], number: str, cast: Cast, schoolbook: bool) -> str:
    wording = _wording(draws, wordings, schoolbook)
    words = [{"N": number, "B": cast.other}.get(word, word) for word in wording.split()]
    if words[0] in ("the", "they", "a", "half") or wording[0] in "NB" or wording[0].isupper():
        sentence = " ".join(words)
        return sentence[0].upper() + sentence[1:]
    return f"{cast.pronoun if draws.random() < 0.8 else cast.name} {' '.join(words)}"


def _aside(draws: random.Random, cast: Cast, schoolbook: bool) -> str:
    return f"{_sentence(draws, lexicon.ASIDE, str(draws.randint(2, 60)), cast, schoolbook)}."


def _wording(draws: random.Random, wordings: tuple[str, ...], schoolbook: bool) -> str:
    known = schoolbook_size(len(wordings)) if schoolbook else len(wordings)
    return draws.choices(wordings[:known], cum_weights=_rarity(len(wordings))[:known])[0]


@cache
def _rarity(size: int) -> tuple[float, ...]:
    """Cumulative weights of a list of that many wordings, the common ones first."""
    return tuple(accumulate(1 / (rank + RARITY_SHIFT) for rank in range(size)))


def schoolbook_size(size: int) -> int:
    """How many wordings, from the head of a list of that many, the schoolbook knows."""
    cumulative = _rarity(size)
    return next(rank for rank in range(size) if cumulative[rank] >= SCHOOLBOOK_SHARE * cumulative[-1]) + 1
