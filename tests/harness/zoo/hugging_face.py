"""Models of transformers with small configurations."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import nn

from zoo.row import Row, numbers, tokens

TEXT = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
IMAGES = {
    "image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48,
}  # fmt: skip
DECODER = {**TEXT, "num_key_value_heads": 2, "max_position_embeddings": 24, "use_cache": False, "pad_token_id": 0}
BOTH = {
    "vocab_size": 100, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 24,
    "use_cache": False, "pad_token_id": 1,
}  # fmt: skip
WORDS = (tokens(3, 9),)
PAIRS = (tokens(3, 9), tokens(3, 7, seed=1))
PICTURES = (numbers(2, 3, 32, 32),)
SCENES = (numbers(2, 3, 64, 96),)


class EncoderDecoder(nn.Module):
    """A model that is called with the tokens of both sides."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, source, target):
        return self.model(source, decoder_input_ids=target, return_dict=True).logits


class ClipModel(nn.Module):
    """CLIP, called with images and texts; returns the similarities and both embeddings."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, texts):
        found = self.model(pixel_values=images, input_ids=texts, attention_mask=torch.ones_like(texts))
        return found.logits_per_image, found.image_embeds, found.text_embeds


def build(name: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    """Return what makes a model of this class."""

    def make() -> nn.Module:
        model = getattr(transformers, name)(getattr(transformers, config)(**options))
        if name == "CLIPModel":
            return ClipModel(model)
        return EncoderDecoder(model) if "ForConditionalGeneration" in name or name == "MarianMTModel" else model

    return make


def _row(name: str, model: str, config: str, inputs: tuple, **options: Any) -> Row:
    return Row(name, build(model, config, **options), inputs)


ROWS = [
    _row("BERT", "BertForSequenceClassification", "BertConfig", WORDS, **TEXT),
    _row("RoBERTa", "RobertaForSequenceClassification", "RobertaConfig", WORDS, **TEXT),
    _row(
        "DistilBERT", "DistilBertForSequenceClassification", "DistilBertConfig", WORDS,
        vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
    ),
    _row("ALBERT", "AlbertForSequenceClassification", "AlbertConfig", WORDS, **TEXT, embedding_size=16),
    _row(
        "DeBERTa-v2", "DebertaV2ForSequenceClassification", "DebertaV2Config", WORDS, **TEXT,
        relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm",
        share_att_key=True, position_biased_input=False, max_position_embeddings=24,
    ),
    _row(
        "GPT-2", "GPT2LMHeadModel", "GPT2Config", WORDS,
        vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=24, use_cache=False,
    ),
    _row("GPT-NeoX", "GPTNeoXForCausalLM", "GPTNeoXConfig", WORDS, **TEXT, use_cache=False),
    _row(
        "OPT", "OPTForCausalLM", "OPTConfig", WORDS, vocab_size=100, hidden_size=32, num_hidden_layers=2, ffn_dim=48,
        num_attention_heads=4, max_position_embeddings=24, word_embed_proj_dim=32, use_cache=False,
    ),
    _row(
        "BLOOM", "BloomForCausalLM", "BloomConfig", WORDS,
        vocab_size=100, hidden_size=32, n_layer=2, n_head=4, use_cache=False,
    ),
    _row("LLaMA", "LlamaForCausalLM", "LlamaConfig", WORDS, **DECODER),
    _row("Mistral", "MistralForCausalLM", "MistralConfig", WORDS, **DECODER, sliding_window=4),
    _row("Qwen2", "Qwen2ForCausalLM", "Qwen2Config", WORDS, **DECODER),
    _row("Gemma", "GemmaForCausalLM", "GemmaConfig", WORDS, **DECODER, head_dim=8),
    _row("Phi-3", "Phi3ForCausalLM", "Phi3Config", WORDS, **DECODER),
    _row(
        "Falcon", "FalconForCausalLM", "FalconConfig", WORDS, vocab_size=100, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, use_cache=False,
    ),
    _row(
        "T5", "T5ForConditionalGeneration", "T5Config", PAIRS, vocab_size=100, d_model=32, d_kv=8, d_ff=48,
        num_layers=2, num_heads=4, use_cache=False, decoder_start_token_id=0,
    ),
    _row("BART", "BartForConditionalGeneration", "BartConfig", PAIRS, **BOTH),
    _row("Marian", "MarianMTModel", "MarianConfig", PAIRS, **BOTH, decoder_start_token_id=1),
    _row("Pegasus", "PegasusForConditionalGeneration", "PegasusConfig", PAIRS, **BOTH),
    _row("M2M100", "M2M100ForConditionalGeneration", "M2M100Config", PAIRS, **BOTH),
    _row("ViT", "ViTForImageClassification", "ViTConfig", PICTURES, **IMAGES),
    _row("DeiT", "DeiTForImageClassification", "DeiTConfig", PICTURES, **IMAGES),
    _row(
        "Swin", "SwinForImageClassification", "SwinConfig", PICTURES, image_size=32, patch_size=4, embed_dim=8,
        depths=[2, 2], num_heads=[2, 4], window_size=4,
    ),
    _row("BEiT", "BeitForImageClassification", "BeitConfig", PICTURES, **IMAGES, use_relative_position_bias=True),
    _row("DINOv2", "Dinov2ForImageClassification", "Dinov2Config", PICTURES, **{**IMAGES, "mlp_ratio": 2}),
    _row(
        "SegFormer", "SegformerForSemanticSegmentation", "SegformerConfig", SCENES, hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=16, num_labels=4,
    ),
    _row(
        "ConvNeXt", "ConvNextForImageClassification", "ConvNextConfig", SCENES, hidden_sizes=[6, 10, 14, 22],
        depths=[1, 1, 2, 1], num_labels=4,
    ),
    _row(
        "CLIP", "CLIPModel", "CLIPConfig", (numbers(2, 3, 32, 32), tokens(2, 7)), projection_dim=16,
        text_config={**TEXT, "max_position_embeddings": 24, "eos_token_id": 2, "projection_dim": 16},
        vision_config={**IMAGES, "projection_dim": 16},
    ),
    _row(
        "Whisper", "WhisperForConditionalGeneration", "WhisperConfig", (numbers(2, 8, 24), tokens(2, 7)),
        vocab_size=100, num_mel_bins=8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=12,
        max_target_positions=24, use_cache=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    ),
    _row(
        "Wav2Vec2", "Wav2Vec2Model", "Wav2Vec2Config", (numbers(2, 400),), vocab_size=100, hidden_size=32,
        num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, conv_dim=[8, 8, 8], conv_kernel=[10, 3, 2],
        conv_stride=[5, 2, 2], num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, num_feat_extract_layers=3,
    ),
]  # fmt: skip
