"""The upsampling operators, by the names that configs use."""

from upzoo.upsampling.base import Upsample
from upzoo.upsampling.bilinear import BilinearInit
from upzoo.upsampling.carafe import Carafe
from upzoo.upsampling.decomposed import DecomposedTransposed
from upzoo.upsampling.dysample import DySample
from upzoo.upsampling.fade import Fade
from upzoo.upsampling.filtered import FIRTransposed, SmoothTransposed
from upzoo.upsampling.pixel_shuffle import PixelShuffle
from upzoo.upsampling.pixel_transposed import PixelTransposed
from upzoo.upsampling.resize import BilinearAdditive, Interpolate, ResizeConv
from upzoo.upsampling.sapa import Sapa
from upzoo.upsampling.transposed import TransposedConv
from upzoo.upsampling.unpool import MaxUnpool

#: Adding an operator: one class, one line here, one YAML in `configs/upsample/`.
OPERATORS: dict[str, type[Upsample]] = {
    "transposed_conv": TransposedConv,
    "bilinear_init": BilinearInit,
    "resize_conv": ResizeConv,
    "interpolate": Interpolate,
    "pixel_shuffle": PixelShuffle,
    "max_unpool": MaxUnpool,
    "bilinear_additive": BilinearAdditive,
    "decomposed_transposed": DecomposedTransposed,
    "smooth_transposed": SmoothTransposed,
    "fir_transposed": FIRTransposed,
    "pixel_transposed": PixelTransposed,
    "carafe": Carafe,
    "dysample": DySample,
    "fade": Fade,
    "sapa": Sapa,
}

__all__ = ["OPERATORS", "Upsample"]
