"""Models small enough to be made in a blink: random weights, a tokenizer trained on two solutions, real folders on disk.

The Llama kind keeps its tokenizer's own pre-tokenisation, so a delimiter is one token, as in the embedded model. A folder of
the Qwen2 kind opens with Qwen2's pre-tokenisation, which splits delimiters, as in every large model.
"""

from pathlib import Path
from typing import Any, Literal

Architecture = Literal["llama", "qwen2"]

_TEXTS = [
    "<|user|>:\nTom has 12 apples and buys 30 more.\n<|assistant|>: Let's think step by step and solve the problem.\n"
    "<code>\n# Step 1: add the apples\nx = 12 + 30\n<end_of_step>\n\n# Now print it\nprint(x)\n<end_of_code>\n"
    "<output>42<end_of_output>\n<answer>The answer is \\boxed{42}.\n<end_of_answer>",
    "<end_of_step> <end_of_code> <end_of_answer> 0 1 2 3 4 5 6 7 8 9",
]


def write_policy(folder: Path, seed: int, architecture: Architecture = "llama", width: int = 64, **more: Any) -> Path:
    """A causal language model in float32."""
    return _write(folder, seed, architecture, "CausalLM", width, **more)


def write_ppm(
    folder: Path, seed: int, architecture: Architecture = "llama", width: int = 64, window: int | None = None
) -> Path:
    """A sequence classifier with one label in float32; of the Qwen2 kind, it may look back `window` tokens only."""
    look_back = {"use_sliding_window": True, "sliding_window": window, "max_window_layers": 0} if window else {}
    return _write(folder, seed, architecture, "SequenceClassification", width, **look_back)


def _write(folder: Path, seed: int, architecture: Architecture, task: str, width: int, **more: Any) -> Path:
    import torch
    import transformers

    family = {"llama": "Llama", "qwen2": "Qwen2"}[architecture]
    tokenizer = _tokenizer()
    # Wide weights make logits differ clearly, so that rounding decides no greedy choice.
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
        num_labels=1,
        **more,
    )
    torch.manual_seed(seed)
    getattr(transformers, f"{family}For{task}")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r"<[a-z_|]+>|[0-9]| ?[A-Za-z]+|\s|[^\sA-Za-z0-9<]+|."), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _TEXTS,
        trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=["<|end|>", "<|pad|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
