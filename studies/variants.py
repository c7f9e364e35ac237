"""The study's variants: an operator with its options, by a name of one line in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Options of train.py that choose an operator, by the variant's name.
OPERATORS: Mapping[str, Sequence[str]] = {
    "bilinear_fixed": ["upsample=bilinear_init"],
    "bilinear_twin": ["upsample=interpolate"],
    "bilinear_dense": ["upsample=bilinear_init", "upsample.trainable=true", "upsample.dense=true"],
    "bilinear_depthwise": ["upsample=bilinear_init", "upsample.trainable=true"],
    "bilinear_additive": ["upsample=bilinear_additive"],
    "transposed": ["upsample=transposed_conv"],
    "transposed_kernel3": ["upsample=transposed_conv", "upsample.kernel=3"],
    "transposed_kernel5": ["upsample=transposed_conv", "upsample.kernel=5"],
    "transposed_kernel6": ["upsample=transposed_conv", "upsample.kernel=6"],
    "decomposed": ["upsample=decomposed_transposed"],
    "smooth": ["upsample=smooth_transposed"],
    "fir": ["upsample=fir_transposed"],
    "resize_nearest": ["upsample=resize_conv"],
    "resize_bilinear": ["upsample=resize_conv", "upsample.mode=bilinear"],
    "pixel_shuffle": ["upsample=pixel_shuffle"],
    "dysample": ["upsample=dysample"],
    "carafe": ["upsample=carafe"],
    "max_unpool": ["upsample=max_unpool"],
    "fade": ["upsample=fade"],
    "sapa": ["upsample=sapa"],
}
TWINS = {"bilinear_twin": "bilinear_fixed"}
#: The variants of super-resolution's smaller settings.
FIVE = ("pixel_shuffle", "transposed", "bilinear_fixed", "resize_nearest", "dysample")
