# ruff: noqa: E501
"""Nets of packages, narrow and with weights of their own shapes, each with what is true of it.

"grid" and "none" are facts of the construction: transposed convolutions and pixel shuffles whose
weights are scaled by channel have unequal phase gains, interpolation has equal ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from tests.audit.published import scaled_by_channel


class Net(NamedTuple):
    """How a net is built from its package, what it takes, the truth, and the periods of its grid."""

    package: str
    build: Callable[[Any], torch.nn.Module]
    example: Callable[[], Any]
    truth: str
    periods: tuple[int, ...] = ()
    needs: str = "torch"  # beside the package


def picture(*shape):
    return lambda: 0.7 + 0.3 * torch.randn(shape)


SMP, MONAI, DIFFUSERS, HUGGING = (
    *("segmentation_models_pytorch", "monai.networks.nets"),
    *("diffusers", "transformers"),
)
SEGMENTATION = "torchvision.models.segmentation"
RGB, GREY, VOLUME = picture(1, 3, 96, 96), picture(1, 1, 64, 64), picture(1, 1, 32, 32, 32)
ENCODER = {"encoder_name": "resnet18", "encoder_weights": None, "classes": 2}
SEG = {"weights": None, "weights_backbone": None, "num_classes": 3}
VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (8, 16), "norm_num_groups": 4, "latent_channels": 3,
}  # fmt: skip
VIT = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 64}


def config(name, net, **options):
    """A net of transformers from its configuration."""
    return lambda t: getattr(t, net)(getattr(t, name)(**options))


def sam(t):
    """SAM with one layer in each of its transformers: its masks are enlarged twice."""
    of = {"hidden_size": 32, "num_attention_heads": 2, "mlp_dim": 32}
    seen = t.SamVisionConfig(
        **of,
        num_hidden_layers=1,
        image_size=256,
        output_channels=32,
        global_attn_indexes=[0],
        window_size=2,
        num_pos_feats=16,
    )
    asked = t.SamPromptEncoderConfig(hidden_size=32, image_size=256, image_embedding_size=16)
    made = t.SamMaskDecoderConfig(**of, num_hidden_layers=1, iou_head_hidden_dim=32)
    parts = {"vision": seen, "prompt_encoder": asked, "mask_decoder": made}
    return t.SamModel(t.SamConfig(**{f"{k}_config": v.to_dict() for k, v in parts.items()}))


def mask2former(t):
    """Mask2Former on a small Swin: all its enlargements are bilinear."""
    stages = [f"stage{n}" for n in range(1, 5)]
    swin = t.SwinConfig(
        embed_dim=24, depths=[1] * 4, num_heads=[1, 2, 3, 4], out_features=stages, image_size=64
    )
    widths = dict.fromkeys(
        (
            "feature_size",
            "mask_feature_size",
            "hidden_dim",
            "encoder_feedforward_dim",
            "dim_feedforward",
        ),
        32,
    )
    few = {"decoder_layers": 2, "encoder_layers": 1, "num_attention_heads": 2, "num_queries": 5}
    return t.Mask2FormerForUniversalSegmentation(
        t.Mask2FormerConfig(backbone_config=swin, **widths, **few)
    )


NETS = {
    "torchvision fcn_resnet50": Net(SEGMENTATION, lambda m: m.fcn_resnet50(**SEG), RGB, "none"),
    "torchvision deeplabv3_mobilenet": Net(SEGMENTATION, lambda m: m.deeplabv3_mobilenet_v3_large(**SEG), RGB, "none"),
    "torchvision lraspp": Net(SEGMENTATION, lambda m: m.lraspp_mobilenet_v3_large(**SEG), RGB, "none"),
    "torchvision resnet18": Net("torchvision.models", lambda m: m.resnet18(weights=None), RGB, "no map"),
    "torchvision swin_t": Net("torchvision.models", lambda m: m.swin_t(weights=None), picture(1, 3, 64, 64), "no map"),
    "torchvision retinanet": Net("torchvision.models.detection", lambda m: m.retinanet_resnet50_fpn(**SEG, min_size=96), lambda: [torch.rand(3, 96, 96)], "no map"),
    "torchvision r3d_18": Net("torchvision.models.video", lambda m: m.r3d_18(weights=None), picture(1, 3, 8, 64, 64), "no map"),
    "smp Unet": Net(SMP, lambda m: m.Unet(**ENCODER), RGB, "none"),
    "smp Unet bilinear": Net(SMP, lambda m: m.Unet(**ENCODER, decoder_interpolation="bilinear"), RGB, "none"),
    "smp UnetPlusPlus": Net(SMP, lambda m: m.UnetPlusPlus(**ENCODER), RGB, "none"),
    "smp FPN": Net(SMP, lambda m: m.FPN(**ENCODER), RGB, "none"),
    "smp Linknet": Net(SMP, lambda m: m.Linknet(**ENCODER), picture(1, 3, 128, 128), "grid", (2, 4, 8, 16, 32)),
    "smp DeepLabV3Plus": Net(SMP, lambda m: m.DeepLabV3Plus(**ENCODER), RGB, "none"),
    "smp Segformer": Net(SMP, lambda m: m.Segformer(**ENCODER), RGB, "none"),
    "smp UPerNet": Net(SMP, lambda m: m.UPerNet(**ENCODER), RGB, "none"),
    "timm features": Net("timm", lambda m: m.create_model("resnet10t", features_only=True), RGB, "none"),
    "timm vit": Net("timm", lambda m: m.create_model("test_vit"), picture(1, 3, 160, 160), "no map"),
    "monai UNet": Net(MONAI, lambda m: m.UNet(2, 1, 2, (8, 16, 32), (2, 2)), GREY, "grid", (2, 4)),
    "monai UNet, volume": Net(MONAI, lambda m: m.UNet(3, 1, 2, (8, 16, 32), (2, 2)), VOLUME, "grid", (2, 4)),
    "monai BasicUNet": Net(MONAI, lambda m: m.BasicUNet(2, 1, 2, (8, 8, 16, 16, 32, 8)), GREY, "grid", (2, 4, 8)),
    "monai BasicUNet interpolated": Net(MONAI, lambda m: m.BasicUNet(2, 1, 2, (8, 8, 16, 16, 32, 8), upsample="nontrainable"), GREY, "none"),
    "monai BasicUNet blurred shuffle": Net(MONAI, lambda m: m.BasicUNet(2, 1, 2, (8, 8, 16, 16, 32, 8), upsample="pixelshuffle"), GREY, "none"),
    "monai SegResNet, volume": Net(MONAI, lambda m: m.SegResNet(3, 8, 1, 2), VOLUME, "none"),
    "monai AttentionUnet": Net(MONAI, lambda m: m.AttentionUnet(2, 1, 2, (8, 16, 32), (2, 2)), GREY, "grid", (2, 4)),
    "monai DynUNet, uneven strides": Net(MONAI, lambda m: m.DynUNet(3, 1, 2, [[1, 3, 3], [3] * 3, [3] * 3], [[1] * 3, [1, 2, 2], [2] * 3], [[1, 2, 2], [2] * 3], filters=[8, 16, 32]), VOLUME, "grid", (2, 4)),
    "monai SwinUNETR": Net(MONAI, lambda m: m.SwinUNETR(in_channels=1, out_channels=2, feature_size=12, spatial_dims=2, depths=(1,) * 4, num_heads=(1,) * 4), GREY, "grid", (2, 4, 8), needs="einops"),
    "monai VQVAE": Net(MONAI, lambda m: m.VQVAE(2, 1, 1, channels=(8, 8), num_res_layers=1, num_res_channels=(8, 8), downsample_parameters=((2, 4, 1, 1),) * 2, upsample_parameters=((2, 4, 1, 1, 0),) * 2, num_embeddings=16, embedding_dim=8), GREY, "grid", (2, 4)),
    "monai AutoencoderKL": Net(MONAI, lambda m: m.AutoencoderKL(2, 1, 1, (1, 1), (8, 8), (False, False), latent_channels=3, norm_num_groups=4, with_encoder_nonlocal_attn=False, with_decoder_nonlocal_attn=False), GREY, "none"),
    "monai Generator": Net(MONAI, lambda m: m.Generator((8,), (16, 8, 8), (16, 8, 1), (2, 2, 1)), lambda: torch.randn(2, 8), "grid", (2, 4)),
    "diffusers AutoencoderKL": Net(DIFFUSERS, lambda m: m.AutoencoderKL(**VAE), picture(1, 3, 64, 64), "none"),
    "diffusers VQModel": Net(DIFFUSERS, lambda m: m.VQModel(**VAE, num_vq_embeddings=16), picture(1, 3, 64, 64), "none"),
    "diffusers AutoencoderDC": Net(DIFFUSERS, lambda m: m.AutoencoderDC(in_channels=3, latent_channels=4, attention_head_dim=4, encoder_block_out_channels=(8, 16), decoder_block_out_channels=(8, 16), encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)), encoder_block_types="ResBlock", decoder_block_types="ResBlock"), picture(1, 3, 64, 64), "grid", (2,)),
    "diffusers UNet2DModel": Net(DIFFUSERS, lambda m: m.UNet2DModel(sample_size=32, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, attention_head_dim=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D")), lambda: (torch.rand(1, 3, 32, 32), torch.tensor(10)), "none"),
    "transformers Segformer": Net(HUGGING, config("SegformerConfig", "SegformerForSemanticSegmentation", hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, num_labels=3), picture(1, 3, 128, 128), "none"),
    "transformers DPT": Net(HUGGING, config("DPTConfig", "DPTForDepthEstimation", **VIT, num_hidden_layers=4, patch_size=8, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, is_hybrid=False), picture(1, 3, 64, 64), "grid", (2, 4, 8, 16)),
    "transformers Beit": Net(HUGGING, config("BeitConfig", "BeitForSemanticSegmentation", **VIT, num_hidden_layers=4, patch_size=16, out_indices=[1, 2, 3, 4], num_labels=3, pool_scales=[1, 2], use_auxiliary_head=False), picture(1, 3, 64, 64), "grid", (2, 4)),
    "transformers masked patches": Net(HUGGING, config("ViTConfig", "ViTForMaskedImageModeling", **VIT, num_hidden_layers=2, patch_size=8, encoder_stride=8), picture(1, 3, 64, 64), "grid", (2, 4, 8)),
    "transformers Swin2SR": Net(HUGGING, config("Swin2SRConfig", "Swin2SRForImageSuperResolution", image_size=64, patch_size=1, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=8, upscale=2), picture(1, 3, 64, 64), "grid", (2,)),
    "transformers Swin2SR nearest": Net(HUGGING, config("Swin2SRConfig", "Swin2SRForImageSuperResolution", image_size=64, patch_size=1, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=8, upscale=4, upsampler="nearest+conv"), picture(1, 3, 48, 48), "none"),
    "transformers HiFi-GAN": Net(HUGGING, config("SpeechT5HifiGanConfig", "SpeechT5HifiGan", model_in_dim=16, upsample_initial_channel=32, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]]), lambda: torch.rand(1, 64, 16), "grid", (2, 4, 8, 16)),
    "transformers HiFi-GAN, guessed": Net(HUGGING, config("FastSpeech2ConformerHifiGanConfig", "FastSpeech2ConformerHifiGan", model_in_dim=16, upsample_initial_channel=16), lambda: None, "grid", (2, 4, 8, 16, 32)),
    "transformers UnivNet": Net(HUGGING, config("UnivNetConfig", "UnivNetModel", model_hidden_channels=8, num_mel_bins=16), lambda: None, "grid", (2, 4)),
    "transformers SAM": Net(HUGGING, sam, picture(1, 3, 256, 256), "grid", (2, 4)),
    "transformers Mask2Former": Net(HUGGING, mask2former, picture(1, 3, 256, 256), "none"),
    "transformers DAC decoder": Net(HUGGING, lambda t: t.DacModel(t.DacConfig(encoder_hidden_size=8, decoder_hidden_size=32, downsampling_ratios=[2, 4], upsampling_ratios=[4, 2], codebook_dim=4, n_codebooks=2)).decoder, lambda: torch.randn(1, 32, 256), "grid", (2, 4, 8)),
    "diffusers AutoencoderTiny decoder": Net(DIFFUSERS, lambda m: m.AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4).decoder, lambda: None, "none"),
    "diffusers DiT": Net(DIFFUSERS, lambda m: m.DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=16, patch_size=2, num_embeds_ada_norm=10, norm_num_groups=4), lambda: None, "grid", (2,)),
    "monai VarAutoEncoder": Net(MONAI, lambda m: m.VarAutoEncoder(2, (1, 32, 32), 1, 4, (8, 16), (2, 2)), picture(1, 1, 32, 32), "grid", (2, 4)),
    "monai UNETR": Net(MONAI, lambda m: m.UNETR(1, 2, (32, 32), feature_size=8, hidden_size=48, mlp_dim=96, num_heads=4, spatial_dims=2), picture(1, 1, 32, 32), "grid", (2, 4, 8), "einops"),
    "monai SegResNetVAE": Net(MONAI, lambda m: m.SegResNetVAE((32, 32), spatial_dims=2, init_filters=8, in_channels=1, out_channels=2), picture(1, 1, 32, 32), "none"),
}  # fmt: skip


def build(name):
    """A net and its example; it is skipped where its package is not installed."""
    import pytest

    net = NETS[name]
    for package in (net.package.split(".")[0], net.needs):
        pytest.importorskip(package)
    torch.manual_seed(0)
    module = net.build(importlib.import_module(net.package))
    return scaled_by_channel(module).eval(), net.example()
