"""Chance from a seed: everybody on the stage has their own, so that one more question of one changes nobody else's."""

import random


def chance(seed: int, who: str) -> random.Random:
    """The same for the same seed and name."""
    return random.Random(f"{seed} {who}")  # noqa: S311  people and labels on a stage, no secrets
