"""metrics -> the model card that the seedling's folder carries. It measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rstar_math.seedling.recipe import Recipe


def model_card(metrics: Mapping[str, float], recipe: Recipe) -> str:
    """The card as Markdown: what the model is, how it was made, its greedy accuracy by level."""
    levels = {name.removeprefix("greedy/level-"): share for name, share in metrics.items() if "/level-" in name}
    rows = "\n".join(f"| {level} | {share:.0%} |" for level, share in levels.items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---
# The seedling

The first policy of the embedded demo: a Qwen2-architecture model of {metrics["parameters"]:,.0f} parameters
({recipe.layers} layers, width {recipe.hidden}, {recipe.heads} heads, tied embeddings) with its own byte-level BPE
(single digits). It writes code-augmented solutions of small word problems and nothing else.

Trained from scratch by `rstar_math/seedling/recipe.py` on {recipe.solved} solved problems of 1 to 6 steps that use schoolbook
wordings only: {metrics["batches"]:.0f} batches of {recipe.batch_size}, learning rate {recipe.learning_rate:g} falling to
0, {recipe.swapped_words:.0%} of the question's words swapped at random; {metrics["seconds"]:.0f} s on CPU; loss on the
policy's own steps {metrics["loss/first"]:.2f} → {metrics["loss/last"]:.3f}.

{recipe.reviewed:.0%} of the solutions were shown under review: with mistakes that carry no loss, and a verdict (`<right>`,
`<wrong>`) to predict at every step's delimiter, where a policy never writes. The next token was learnt after
{recipe.layers // 2} of the {recipe.layers} layers as well. Both give a PPM what it starts from: a state that tells whether
the step just written is the one expected.

Greedy accuracy on fresh problems over all wordings: **{metrics["greedy/all"]:.1%}**.

| Steps | Greedy |
|---|---|
{rows}
"""
