"""The upsampling operators, by the names that configs use."""

from models.upsampling.base import Upsample
from models.upsampling.bilinear import BilinearInit
from models.upsampling.carafe import Carafe
from models.upsampling.decomposed import DecomposedTransposed
from models.upsampling.dysample import DySample
from models.upsampling.fade import Fade
from models.upsampling.filtered import FIRTransposed, SmoothTransposed
from models.upsampling.pixel_shuffle import PixelShuffle
from models.upsampling.pixel_transposed import PixelTransposed
from models.upsampling.resize import BilinearAdditive, Interpolate, ResizeConv
from models.upsampling.sapa import Sapa
from models.upsampling.transposed import TransposedConv
from models.upsampling.unpool import MaxUnpool

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
