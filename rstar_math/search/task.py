"""How does a model without the text format write its reasoning down?

The text of rStar's five actions (arXiv 2408.06195 §3.1): every action adds lines that begin with a mark, after worked
examples that are the task's own. Any causal language model can go on with such a text, so none has to be trained. What is
asked when stands in `actions`.

    {examples}Question: Ann has 3 bags of 4 apples. She eats 2. How many are left?
    Conditions: Ann has 3 bags. Each holds 4 apples. She eats 2 of them.
    Thought: 3 bags of 4 apples are 12 apples.
    Subquestion: How many are left when she has eaten 2?
    Subanswer: 12 - 2 = 10. The answer is 10.
    Again: Of 12 apples 2 are gone, so 10 are left. The answer is 10.
    Solution: 12 apples less 2 are 10 apples. The answer is 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rstar_math.records import Segment, Step, Transcript

THOUGHT, SOLUTION, SUBQUESTION, SUBANSWER = "Thought:", "Solution:", "Subquestion:", "Subanswer:"
AGAIN, CONDITIONS = "Again:", "Conditions:"
#: The file of a task's worked examples that belongs to each mark, without its ending.
EXAMPLES = {mark: mark.rstrip(":").lower() for mark in (THOUGHT, SOLUTION, SUBQUESTION, SUBANSWER, AGAIN, CONDITIONS)}
#: Every line is one generation, up to and with its line break.
LINE_END = "\n"
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of question.

    answer:    the words that stand before an answer.
    final:     how the sub-question begins that asks for the answer itself.
    depth:     actions at most on a path (paper: 5, for MATH 8).
    examples:  by the names in `EXAMPLES`, what stands before the question; a name that is missing has none.
    zero_shot: what stands before the question without any example.
    code:      lines do their sums in code between backticks (`sums`).
    """

    name: str
    answer: str = "The answer is"
    final: str = "Now we can answer the question"
    depth: int = 5
    examples: Mapping[str, str] = field(default_factory=dict)
    zero_shot: str = ""
    code: bool = False

    def transcript(self, question: str, path: Sequence[Step], mark: str, begun: str = "") -> Transcript:
        """What a model sees before it writes the line with this mark. `begun`: how that line begins."""
        examples = self.examples.get(EXAMPLES[mark], "")
        lines = (Segment(step.text, by_policy=True) for step in path)
        cue = Segment(f"{mark} {begun}".rstrip(), by_policy=False)
        return (Segment(f"{examples}Question: {_one_line(question)}\n", by_policy=False), *lines, cue)

    def without_examples(self) -> Task:
        """The same task for a model that is only told what to do."""
        return replace(self, examples=dict.fromkeys(EXAMPLES.values(), self.zero_shot))

    def answer_in(self, line: str) -> str | None:
        """What stands behind the last `answer` of a line; None where it states none. Of code it is the value."""
        _, stated, answer = line.rpartition(self.answer)
        answer = answer.rpartition("` = ")[2]
        return answer.strip(" :\n").removesuffix(".").strip() or None if stated else None

    def is_final(self, line: str) -> bool:
        """Whether a sub-question asks for the answer itself."""
        return line.strip().lower().startswith(self.final.lower())

    def sentences(self, path: Sequence[Step]) -> list[str]:
        """The reasoning of a path, in order: no conditions, no sub-questions, no answers on the way to the last one, and of
        a sub-question answered twice the second answer only."""
        found: list[str] = []
        last_subanswer = 0
        for number, step in enumerate(path):
            mark, _, said = step.text.partition(" ")
            if mark == CONDITIONS:
                continue
            if mark == AGAIN:
                del found[last_subanswer:]
            elif mark == SUBQUESTION:
                last_subanswer, said = len(found), step.text.partition(SUBANSWER)[2]
            own = [sentence for sentence in _SENTENCE.split(said.strip()) if sentence]
            found += own if number + 1 == len(path) else self._on_the_way(own)
        return found

    def _on_the_way(self, sentences: Sequence[str]) -> list[str]:
        """Without the answers to sub-questions; their code stays, for later code needs its names."""
        if self.code:
            return [each.replace(self.answer, "").strip() for each in sentences]
        return [each for each in sentences if self.answer not in each]


def _one_line(question: str) -> str:
    return " ".join(question.split())
