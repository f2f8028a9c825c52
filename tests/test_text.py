"""The text format: what is written can be read back, and the bytes are those of the paper's format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rstar_math import text
from rstar_math.records import Segment, Step

STEPS = (
    Step("<code>\n# Step 1: double\nx = 2 * 20\n<end_of_step>"),
    Step("# Now print the final answer\nprint(x * 12)\n<end_of_code>", "480"),
    Step("<answer>It is \\boxed{480}.\n<end_of_answer>"),
)


def test_a_whole_solution_has_the_bytes_of_the_papers_format() -> None:
    assert text.join(text.transcript("How many?", STEPS, for_next=False)) == (
        "<|user|>:\nHow many?\n<|assistant|>: Let's think step by step and solve the problem with code.\n"
        "<code>\n# Step 1: double\nx = 2 * 20\n<end_of_step>\n\n"
        "# Now print the final answer\nprint(x * 12)\n<end_of_code>\n<output>480<end_of_output>\n"
        "<answer>It is \\boxed{480}.\n<end_of_answer>"
    )


def test_only_steps_are_the_policys_own_bytes() -> None:
    pieces = text.transcript("How many?", STEPS, for_next=False)
    assert [piece.text for piece in pieces if piece.by_policy] == [step.text for step in STEPS]
    assert Segment("\n<output>480<end_of_output>\n", by_policy=False) in pieces


def test_the_prompt_for_the_next_step_is_a_prefix_of_the_training_text() -> None:
    whole = text.transcript("How many?", STEPS, for_next=False)
    for done in range(len(STEPS)):
        prompt = text.transcript("How many?", STEPS[:done], for_next=True)
        assert whole[: len(prompt)] == prompt
        assert whole[len(prompt)].text == STEPS[done].text


def test_a_scored_prefix_ends_right_after_its_last_delimiter() -> None:
    assert text.join(text.transcript("How many?", STEPS[:2], for_next=False)).endswith("<end_of_code>")


def test_a_reply_is_read_back_as_the_steps_it_was_written_from() -> None:
    reply = text.join(text.transcript("How many?", STEPS, for_next=False)).removeprefix(text.prompt("How many?"))
    assert text.parse_reply(reply) == STEPS


@pytest.mark.parametrize("reply", ["<code>\nx = 1\n", "x = 1\n<end_of_code>\n<answer>\\boxed{1}<end_of_answer>"])
def test_a_reply_cut_off_or_without_output_is_refused(reply: str) -> None:
    with pytest.raises(ValueError, match=r"ends without|no <output>"):
        text.parse_reply(reply)


def test_code_keeps_comments_and_loses_markup() -> None:
    assert text.code_of(STEPS[0].text) == "# Step 1: double\nx = 2 * 20\n"
    assert text.code_of(STEPS[2].text) == ""


@given(st.text(alphabet="ab<>_\n", max_size=30), st.sampled_from(text.DELIMITERS), st.text(max_size=20))
def test_cutting_keeps_everything_up_to_the_first_delimiter(before: str, mark: str, after: str) -> None:
    cut = text.cut(before + mark + after)
    assert cut == before + mark
    assert text.delimiter_of(cut) == mark
