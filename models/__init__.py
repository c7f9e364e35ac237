"""Decoders whose upsampling is one argument, in pure torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def load(name: str) -> nn.Module:
    """The shipped net of this name, as `upzoo.zoo.load` gives it."""
    from upzoo import zoo

    return zoo.load(name)
