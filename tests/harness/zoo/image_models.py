"""The smallest model of each file of timm."""

from collections.abc import Callable, Mapping
from typing import Any

import timm

from zoo.row import Row, numbers

SMALL_WINDOWS = {"self_attn_kwargs": {"block_size": 2, "halo_size": 1}}  # of 8 and 3: images of 256, and 20 GB

# Name -> (the smallest images that it takes, whether it is told their size, other options); with its parameters. Those
# of over 150 million are left out: deepseek_vit, gemma4_vit.
MODELS: dict[str, tuple] = {
    "beit_base_patch16_224": (32, True),  # 86.5 million
    "halonet_h1": (64, False, SMALL_WINDOWS),  # 8.1 million
    "test_byobnet": (64, False),  # 0.5 million
    "cait_xxs24_224": (32, True),  # 12.0 million
    "coat_tiny": (32, True),  # 5.5 million
    "convit_tiny": (32, True),  # 5.7 million
    "convmixer_768_32": (32, False),  # 21.1 million
    "test_convnext": (64, False),  # 0.3 million
    "cpubone_nano": (32, False),  # 6.5 million
    "crossvit_tiny_240": (32, False),  # 7.0 million
    "csatv2": (64, False),  # 11.1 million
    "cs3darknet_focus_s": (32, False),  # 3.3 million
    "cspnext_tiny": (32, False),  # 2.7 million
    "davit_tiny": (32, False),  # 28.4 million
    "deit_tiny_patch16_224": (32, True),  # 5.7 million
    "densenet121": (32, False),  # 8.0 million
    "dla46x_c": (32, False),  # 1.1 million
    "dpn48b": (32, False),  # 9.1 million
    "edgenext_xx_small": (32, False),  # 1.3 million
    "efficientformer_l1": (224, False),  # 12.3 million
    "efficientformerv2_s0": (32, True),  # 3.6 million
    "test_efficientnet": (64, False),  # 0.4 million
    "efficientvim_m1": (32, False),  # 6.7 million
    "efficientvit_b0": (32, False),  # 3.4 million
    "efficientvit_m0": (32, False),  # 2.3 million
    "vit_tiny_patch16_dinov3_qkvb": (32, False),  # 5.5 million
    "fasternet_t0": (32, False),  # 3.9 million
    "fastvit_t8": (32, False),  # 4.0 million
    "focalnet_tiny_srf": (32, False),  # 28.4 million
    "gcvit_xxtiny": (32, True),  # 12.0 million
    "ghostnet_050": (32, False),  # 2.6 million
    "hardcorenas_b": (32, False),  # 5.2 million
    "hgnetv2_b0": (32, False),  # 6.0 million
    "hiera_tiny_224": (32, True),  # 27.9 million
    "sam2_hiera_tiny": (32, False),  # 26.9 million
    "hrnet_w18_small": (32, False),  # 13.2 million
    "iformer_t": (32, False),  # 2.9 million
    "inception_next_atto": (32, False),  # 4.2 million
    "ens_adv_inception_resnet_v2": (96, False),  # 55.8 million
    "adv_inception_v3": (96, False),  # 23.8 million
    "inception_v4": (96, False),  # 42.7 million
    "lcnetv2_small": (32, False),  # 4.1 million
    "levit_128s": (32, True),  # 7.8 million
    "lowformer_b0": (32, False),  # 14.1 million
    "test_mambaout": (64, False),  # 0.4 million
    "test_coatnet": (32, True),  # 0.6 million
    "poolformerv2_s12": (64, False),  # 11.9 million; of one pixel the pool is the pixel, and what it is less is 0
    "gmlp_ti16_224": (32, True),  # 5.9 million
    "mobilenetv3_small_050": (32, False),  # 1.6 million
    "mobilenetv5_base": (32, False, {"channel_multiplier": 0.5}),  # 26.7 million; whole, 82.6
    "mobilevit_xxs": (32, False),  # 1.3 million
    "mvitv2_tiny": (32, False),  # 24.2 million
    "naflexvit_base_patch16_parfac_gap": (32, False),  # 86.5 million
    "nasnetalarge": (32, False, {"stem_size": 32, "num_features": 1056}),  # 6.1 million; with its own widths, 88.8
    "jx_nest_tiny": (32, True),  # 17.1 million
    "nextvit_small": (64, False),  # 31.8 million; of 32 it attends to one pixel, with a gradient that is rounding alone
    "test_nfnet": (64, False),  # 0.4 million
    "pit_ti_224": (32, True),  # 4.8 million
    "pnasnet5large": (32, False),  # 86.1 million
    "pvt_v2_b0": (32, False),  # 3.7 million
    "qwen3_vit_88m": (32, False),  # 87.4 million
    "rdnet_tiny": (32, False),  # 23.9 million
    "regnetx_002": (32, False),  # 2.7 million
    "repghostnet_050": (32, False),  # 2.3 million
    "repvit_m1": (32, False),  # 5.5 million
    "res2next50": (32, False),  # 24.7 million
    "resnest14d": (32, False),  # 10.6 million
    "test_resnet": (64, False),  # 0.5 million
    "resnetv2_18": (32, False),  # 11.7 million
    "rexnet_100": (32, False),  # 4.8 million
    "selecsls42": (32, False),  # 30.4 million
    "legacy_seresnet18": (32, False),  # 11.8 million
    "sequencer2d_s": (32, False),  # 27.7 million
    "shvit_s1": (32, False),  # 6.3 million
    "skresnet18": (32, False),  # 12.0 million
    "starnet_s050": (32, False),  # 0.5 million
    "swiftformer_xs": (32, False),  # 3.5 million
    "swin_tiny_patch4_window7_224": (32, True),  # 28.3 million
    "swinv2_tiny_window16_256": (32, True),  # 28.3 million
    "swinv2_cr_tiny_224": (32, True),  # 28.3 million
    "tiny_vit_5m_224": (32, False),  # 12.1 million
    "tnt_s_legacy_patch16_224": (32, True),  # 23.8 million
    "tresnet_m": (32, False),  # 31.4 million
    "twins_svt_small": (32, False),  # 24.1 million
    "vgg11": (32, False),  # 132.9 million
    "visformer_tiny": (32, True),  # 10.3 million
    "test_vit": (64, False),  # 0.4 million
    "vit_tiny_r_s16_p8_224": (32, True),  # 6.3 million
    "test_vit_relpos": (32, True),  # 0.9 million
    "samvit_base_patch16_224": (32, False),  # 86.5 million
    "vitamin_small_224": (32, True),  # 22.2 million
    "volo_d1_224": (32, True),  # 26.6 million
    "ese_vovnet19b_slim_dw": (32, False),  # 1.9 million
    "legacy_xception": (32, False),  # 22.9 million
    "xception41p": (32, False),  # 26.9 million
    "xcit_nano_12_p8_224": (32, False),  # 3.0 million
}


def build(name: str, size: int, told: bool, more: Mapping[str, Any] | None = None) -> Callable[[], Any]:
    """Return what makes a model."""
    options = {"img_size": size} if told else {}
    options |= more or {}
    return lambda: timm.create_model(name, pretrained=False, num_classes=10, **options)


SETTLED = {"nextvit_small"}  # models whose BatchNorm has statistics of the images, see `Row`

ROWS = [Row(name, build(name, *how), (numbers(4, 3, how[0], how[0]),), name in SETTLED) for name, how in MODELS.items()]
