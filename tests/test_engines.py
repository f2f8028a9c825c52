"""Real vLLM engines on tiny models against transformers on the same token ids."""

import asyncio
import functools
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_models import write_policy, write_ppm

from rstar_math import text
from rstar_math.config import EngineConfig
from rstar_math.errors import ConfigError, EngineError, EngineLost, InputError
from rstar_math.records import Proposal, Sampling, Segment, Step, Transcript
from rstar_math.reward import reward
from rstar_math.tokens import encode

# vLLM, torch and transformers use a few names that they are about to retire.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

PRELOAD = os.environ.get("LD_PRELOAD")
CONFIG = EngineConfig(dtype="float32", max_sequences=64, cpu_threads=1)
GREEDY = Sampling(temperature=0.0, max_tokens=16)
QUESTION = "Tom has 12 apples, buys 30 more and gives 7 of them to his sister. How many apples has Tom now?"


def transcript(*steps: str, question: str = QUESTION) -> Transcript:
    return text.transcript(question, [Step(f"{step}\n<end_of_step>") for step in steps], for_next=True)


@functools.cache
def greedy_text(folder: Path, asked: Transcript) -> str:
    """What transformers says next, token by token, up to the first delimiter."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = encode(tokenizer, asked)
    start = len(tokens)
    while len(tokens) < start + GREEDY.max_tokens and tokens[-1] != tokenizer.eos_token_id:
        with torch.inference_mode():
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    answer = tokenizer.decode(tokens[start:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.cut(answer).rstrip("\ufffd")


def said(proposals: list[Proposal]) -> str:
    """The first proposal's text; a last character that is not whole is shown by transformers and left out by vLLM."""
    return proposals[0].text.rstrip("\ufffd")


def raw_score(folder: Path, asked: Transcript) -> float:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokens = encode(AutoTokenizer.from_pretrained(folder), asked)
    with torch.inference_mode():
        return float(model(torch.tensor([tokens])).logits[0, 0])


class TestPolicy:
    @pytest.fixture(scope="class", params=["llama", "qwen2"])
    def folders(self, request: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
        root = tmp_path_factory.mktemp(request.param)
        return [write_policy(root / str(seed), seed, request.param) for seed in (1, 2)]

    @pytest.fixture(scope="class")
    def policy(self, folders: list[Path]) -> Iterator[Any]:
        from rstar_math.engines.vllm_policy import VllmPolicy

        policy = VllmPolicy(str(folders[0]), CONFIG)
        yield policy
        policy.close()

    async def test_an_engine_leaves_no_preload_behind_for_later_children(self, policy: Any) -> None:
        """From a folder with a space in its name, every child's loader complained about one."""
        assert os.environ.get("LD_PRELOAD") == PRELOAD

    async def test_greedy_says_what_transformers_says(self, policy: Any, folders: list[Path]) -> None:
        asked = [transcript(), transcript("# add\nx = 12 + 30"), transcript("# add\nx = 12 + 30", "# take\ny = x - 7")]
        answers = await asyncio.gather(*(policy.propose(each, 3, GREEDY) for each in asked))
        for each, proposals in zip(asked, answers, strict=True):
            assert [said([proposal]) for proposal in proposals] == [greedy_text(folders[0], each)] * 3
            assert proposals[0].tokens > 0
            assert [proposal.tokens for proposal in proposals[1:]] == [0, 0]

    async def test_passes_have_few_sizes_and_say_what_transformers_says(self, policy: Any, folders: list[Path]) -> None:
        """oneDNN wrote machine code for each new size of a batch, at nearly every step of a search."""
        sizes: list[int] = []

        def note(model: Any) -> Any:
            return model.model.layers[0].register_forward_pre_hook(lambda _, given: sizes.append(given[0].numel()))

        (hook,) = policy._engine._engine.apply_model(note)
        asked = [transcript(*["x = 12 + 30"] * count) for count in range(7)]
        answers = await asyncio.gather(*(policy.propose(each, 1 + n % 2, GREEDY) for n, each in enumerate(asked)))
        hook.remove()
        assert [said(answer[:1]) for answer in answers] == [greedy_text(folders[0], each) for each in asked]
        assert len(sizes) > 5
        assert all(size % 16 == 0 for size in sizes)

    @pytest.mark.skipif(platform.machine() != "x86_64", reason="vLLM's kernels for other processors take blocks of 32")
    async def test_what_a_path_holds_is_read_again_only_beyond_its_last_sixteen_tokens(self, policy: Any) -> None:
        """In blocks of 32 tokens every candidate of an expansion began with up to 32 tokens that were known."""
        from vllm import SamplingParams

        path = encode(policy._tokenizer, transcript(*["half = 48 / 2"] * 6, question="A path of its own?"))[:49]
        first, second = [await policy._engine.ask(path, SamplingParams(max_tokens=1)) for _ in range(2)]
        assert len(path) == 49
        assert (first.num_cached_tokens, second.num_cached_tokens) == (0, 48)

    async def test_candidates_end_at_their_first_delimiter(self, policy: Any) -> None:
        drawn = await asyncio.gather(
            *(policy.propose(transcript(f"x = {n}"), 8, Sampling(1.0, 1.0, 40)) for n in range(16))
        )
        proposals = [proposal for each in drawn for proposal in each]
        assert len(proposals) == 128
        assert all(proposal.text == text.cut(proposal.text) for proposal in proposals)
        assert len({proposal.text for proposal in proposals}) > 100
        if policy._stop:
            stopped = [proposal for proposal in proposals if text.delimiter_of(proposal.text)]
            assert stopped
            assert any(proposal.tokens < 20 for proposal in stopped)

    async def test_a_line_ends_where_the_search_says_and_not_at_a_delimiter(self, policy: Any) -> None:
        sampling = Sampling(temperature=1.0, max_tokens=64, stops=("e",))
        lines = [proposal.text for proposal in await policy.propose(transcript(), 16, sampling)]
        assert any(line.endswith("e") for line in lines)
        assert all("e" not in line[:-1] for line in lines)

    async def test_no_step_is_longer_than_asked(self, policy: Any) -> None:
        proposals = await policy.propose(transcript(), 8, Sampling(1.0, 1.0, 5))
        assert all(1 <= proposal.tokens <= 5 for proposal in proposals)

    async def test_a_transcript_that_fills_the_context_is_a_dead_end(self, policy: Any) -> None:
        assert await policy.propose(transcript("x = 1 + 1" * 60), 4, GREEDY) == []

    async def test_a_refused_request_harms_no_other(self, policy: Any) -> None:
        nothing: Transcript = ()
        good, bad = await asyncio.gather(
            policy.propose(transcript(), 2, Sampling(max_tokens=5)),
            policy.propose(nothing, 2, Sampling(max_tokens=5)),
            return_exceptions=True,
        )
        assert len(good) == 2
        assert isinstance(bad, EngineError)
        assert "0 tokens" in str(bad)
        assert not isinstance(bad, EngineLost)
        assert not policy.is_broken

    async def test_a_cancelled_coroutine_leaves_the_engine_to_the_others(
        self, policy: Any, folders: list[Path]
    ) -> None:
        given_up = asyncio.create_task(policy.propose(transcript("x = 2"), 8, Sampling(max_tokens=100)))
        kept = asyncio.create_task(policy.propose(transcript(), 1, GREEDY))
        await asyncio.sleep(0)
        given_up.cancel()
        assert said(await kept) == greedy_text(folders[0], transcript())
        assert given_up.cancelled()

    async def test_load_serves_new_weights_and_forgets_old_prefixes(self, policy: Any, folders: list[Path]) -> None:
        asked = transcript("# a first step that makes the prefix long\nx = 12 + 30")
        old, new = (greedy_text(folder, asked) for folder in folders)
        assert old != new
        for folder, expected in ((folders[0], old), (folders[1], new), (folders[0], old)):
            await policy.load(str(folder))
            for _ in range(2):
                assert said(await policy.propose(asked, 1, GREEDY)) == expected

    async def test_an_engine_that_takes_other_weights_is_not_taken_for_a_broken_one(
        self, policy: Any, folders: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reload, seen = policy._engine._reload, []
        monkeypatch.setattr(policy._engine, "_reload", lambda folder: (seen.append(policy.is_broken), reload(folder)))
        await policy.load(str(folders[0]))
        assert [*seen, policy.is_broken] == [False, False]

    async def test_another_architecture_is_refused_and_nothing_changes(
        self, policy: Any, folders: list[Path], tmp_path: Path
    ) -> None:
        other = write_policy(tmp_path / "wider", 1, "llama", width=128)
        with pytest.raises(EngineError, match="hidden_size=128"):
            await policy.load(str(other))
        assert said(await policy.propose(transcript(), 1, GREEDY)) == greedy_text(folders[0], transcript())


class TestPpm:
    @pytest.fixture(scope="class")
    def folders(self, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
        root = tmp_path_factory.mktemp("ppm")
        return [write_ppm(root / str(seed), seed) for seed in (1, 2)]

    @pytest.fixture(scope="class")
    def scorer(self, folders: list[Path]) -> Iterator[Any]:
        from rstar_math.engines.vllm_ppm import VllmScorer

        scorer = VllmScorer(str(folders[0]), CONFIG)
        yield scorer
        scorer.close()

    @staticmethod
    def paths() -> list[Transcript]:
        """Paths of one problem: a long shared prefix, as in a tree."""
        return [
            text.transcript(QUESTION, [Step(f"{step}\n<end_of_step>") for step in steps], for_next=False)
            for steps in (["x = 1"], ["x = 1", "y = 2"], ["x = 1", "y = 30"], ["x = 1", "y = 30", "print(x + y)"])
        ]

    async def test_scores_are_those_of_transformers_under_tanh(self, scorer: Any, folders: list[Path]) -> None:
        expected = [reward(raw_score(folders[0], path)) for path in self.paths()]
        assert len({round(value, 3) for value in expected}) > 1
        for _ in range(2):  # the second time from cached prefixes
            assert await scorer.score(self.paths()) == pytest.approx(expected, abs=1e-3)

    async def test_batches_at_once_come_back_in_their_own_order(self, scorer: Any) -> None:
        batches = [
            [transcript(f"x = {n}", question=f"{QUESTION} ({batch})") for n in range(9 + batch)] for batch in range(3)
        ]
        together = await asyncio.gather(*(scorer.score(batch) for batch in batches))
        for batch, scores in zip(batches, together, strict=True):
            assert scores == pytest.approx([(await scorer.score([path]))[0] for path in batch], abs=1e-4)
        assert await scorer.score([]) == []

    async def test_a_path_beyond_the_context_is_worth_a_dead_end(self, scorer: Any) -> None:
        short, long = await scorer.score([transcript(), transcript("x = 1 + 1" * 60)])
        assert (short != -1.0, long) == (True, -1.0)

    async def test_load_serves_the_new_ppm(self, scorer: Any, folders: list[Path]) -> None:
        await scorer.load(str(folders[1]))
        expected = [reward(raw_score(folders[1], path)) for path in self.paths()]
        assert await scorer.score(self.paths()) == pytest.approx(expected, abs=1e-3)


def test_a_folder_that_is_no_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    from rstar_math.engines.vllm_policy import VllmPolicy
    from rstar_math.engines.vllm_ppm import VllmScorer

    with pytest.raises(InputError, match=r"config\.json"):
        VllmPolicy(str(tmp_path), CONFIG)
    policy = write_policy(tmp_path / "policy", 1)
    with pytest.raises(ConfigError, match="no ppm"):
        VllmScorer(str(policy), CONFIG)


async def test_an_error_of_the_device_is_the_engines_end_and_not_a_refused_request(tmp_path: Path) -> None:
    """It came out as any error of an engine does, so nobody put another in its place."""
    from vllm.v1.engine.exceptions import EngineDeadError

    from rstar_math.engines.vllm_policy import VllmPolicy

    policy = VllmPolicy(str(write_policy(tmp_path, 1)), CONFIG)
    whole = policy._engine._engine

    class Dead:
        def add_request(self, *_: object) -> None:
            raise EngineDeadError

    policy._engine._engine = Dead()
    for _ in range(2):
        with pytest.raises(EngineLost, match="died: EngineDeadError"):
            await policy.propose(transcript(), 2, GREEDY)
    assert policy.is_broken
    policy._engine._engine = whole
    policy.close()


def test_delimiters_stop_by_token_only_where_each_is_one(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from rstar_math.engines.vllm_policy import delimiter_tokens

    whole = AutoTokenizer.from_pretrained(write_policy(tmp_path / "llama", 1, "llama"))
    assert [whole.decode([token]) for token in delimiter_tokens(whole)] == sorted(
        text.DELIMITERS, key=lambda delimiter: encode(whole, (Segment(delimiter, by_policy=True),))
    )
    split = AutoTokenizer.from_pretrained(write_policy(tmp_path / "qwen2", 1, "qwen2"))
    assert delimiter_tokens(split) == []


def sentencepiece() -> Any:
    """A tokenizer that puts a space before every text, as Llama's and Phi-3's do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    back = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(back)
    every = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "</s>", *every], show_progress=False)
    tokenizer.train_from_iterator(["<code>", "x = 1 + 2", "print(x)", "<end_of_step>", "# 1: the x y = x * 3"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def test_a_tokenizer_that_begins_texts_with_a_space_adds_none_to_steps() -> None:
    """Every round of training put one more space before every step, and code that begins with one does not run."""
    tokenizer = sentencepiece()
    assert tokenizer.decode(tokenizer.encode("y", add_special_tokens=False) * 2) == "y y"
    step = "y = x * 3\n<end_of_step>"
    pieces = (Segment("x = 1\n", by_policy=False), Segment(step, by_policy=True), Segment("\n\n", by_policy=False))
    for piece in pieces:
        assert tokenizer.decode(encode(tokenizer, (piece,))) == piece.text
    written = tokenizer.convert_ids_to_tokens(encode(tokenizer, (*pieces, *pieces)))
    assert (
        "".join(written).replace("<0x0A>", "\n").replace("\u2581", " ") == "".join(piece.text for piece in pieces) * 2
    )


def test_marks_that_are_special_tokens_are_read_and_the_end_of_a_text_is_not(tmp_path: Path) -> None:
    """Of a policy trained with the released script every step lost its end, and none was kept."""
    from transformers import AutoTokenizer

    from rstar_math.engines.vllm_policy import VllmPolicy, unwritten_tokens

    tokenizer = AutoTokenizer.from_pretrained(write_policy(tmp_path, 1))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<code>", "<end_of_step>", "<|im_end|>"]})
    policy = object.__new__(VllmPolicy)
    policy._tokenizer, policy._unwritten = tokenizer, unwritten_tokens(tokenizer)
    drawn = encode(tokenizer, (Segment("<code>\nx = 1\n<end_of_step>", by_policy=True),))
    ends = [tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.eos_token_id]
    assert policy._read(SimpleNamespace(token_ids=[*drawn, *ends]), True) == "<code>\nx = 1\n<end_of_step>"
