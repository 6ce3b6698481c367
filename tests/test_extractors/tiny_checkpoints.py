"""Tiny checkpoints of random weights, saved by the libraries themselves in their own formats."""

import json
from pathlib import Path

SOUND_RATE_HZ = 8000
CLAP_WINDOW_SECONDS = 1
WORDS = ("the", "a", "red", "stamp", "bird", "##s", "of", "island", "queen")


def save_bert(folder: Path) -> None:
    """Save a BERT with a head for masked words, hence without a pooler, as the real one is."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = [*special, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=37,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)


def save_clip(folder: Path) -> None:
    """Save an open_clip model as `open_clip.push_to_hf_hub` does."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    model_cfg = {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    preprocess_cfg = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
    torch.manual_seed(0)
    weights = open_clip.CLIP(**model_cfg).state_dict()
    save_file(
        {key: tensor.contiguous() for key, tensor in weights.items()},
        folder / "open_clip_model.safetensors",
    )
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")


def save_wav2vec2(folder: Path) -> None:
    """Save a wav2vec 2.0 with group norm, which hears 40 samples a frame."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=37,
        conv_dim=(16, 16, 16),
        conv_kernel=(10, 3, 2),
        conv_stride=(5, 4, 2),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=SOUND_RATE_HZ).save_pretrained(folder)


def save_clap(folder: Path, fusion: bool = False) -> None:
    """Save a CLAP of both towers, whose windows last one second.

    Args:
        folder: Where to.
        fusion: Whether it is of the kind that fuses several views of a long sound.
    """
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    torch.manual_seed(0)
    config = ClapConfig(
        projection_dim=24,
        text_config={
            "vocab_size": 10,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 8,
            "projection_dim": 24,
        },
        audio_config={
            "hidden_size": 16,
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
            "spec_size": 64,
            "window_size": 4,
            "num_mel_bins": 16,
            "projection_dim": 24,
            "enable_fusion": fusion,
            "fusion_type": "aff_2d" if fusion else None,
        },
    )
    ClapModel(config).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=SOUND_RATE_HZ,
        hop_length=160,
        max_length_s=CLAP_WINDOW_SECONDS,
        fft_window_size=256,
        frequency_max=SOUND_RATE_HZ // 2,
        truncation="fusion" if fusion else "rand_trunc",
        padding="repeatpad",
    ).save_pretrained(folder)


def save_videomae(folder: Path) -> None:
    """Save a VideoMAE with its decoder, as the real pretrained one is."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEImageProcessor

    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=32,
        patch_size=8,
        num_frames=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=37,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        use_mean_pooling=False,
    )
    VideoMAEForPreTraining(config).save_pretrained(folder)
    VideoMAEImageProcessor(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_mean=[0.4, 0.5, 0.6],
        image_std=[0.2, 0.25, 0.3],
    ).save_pretrained(folder)
