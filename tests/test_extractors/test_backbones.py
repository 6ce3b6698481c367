"""What each pretrained extractor promises beyond the suite that all of them pass."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_checkpoints
import torch
from local_hub import fill_cache
from media_files import write_clip
from PIL import Image
from pretrained_cases import ON_CPU, AnyPretrained, encode_all, refer_clip, write_pictures
from safetensors.torch import load_file, save_file

from extractors.base import MediaError
from extractors.pretrained import PretrainedExtractor
from extractors.registry import build_extractor
from extractors.weights import WeightsError

RATE_HZ = tiny_checkpoints.SOUND_RATE_HZ
TOLERANCE = 1e-5


def build(name: str, **config: Any) -> AnyPretrained:
    extractor = build_extractor(name, config, ON_CPU)
    assert isinstance(extractor, PretrainedExtractor)
    return extractor


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_sound(path: Path, num_samples: int) -> Path:
    samples = np.random.default_rng(0).normal(0.01, 0.1, num_samples).astype(np.float32)
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    return path


class TestBert:
    @pytest.fixture(scope="class")
    def saved(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("bert") / "checkpoint"
        tiny_checkpoints.save_bert(folder)
        return folder

    @pytest.fixture
    def folder(self, saved: Path, tmp_path: Path) -> Path:
        """A copy to tamper with."""
        return Path(shutil.copytree(saved, tmp_path / "checkpoint"))

    def test_cls_pooling_takes_the_first_state(self, saved: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        text = "the red bird of the island"
        tokens = AutoTokenizer.from_pretrained(saved)(text, return_tensors="pt")
        with torch.inference_mode():
            states = AutoModel.from_pretrained(saved).eval()(**tokens).last_hidden_state
        vector = encode_all(build("text_bert", model=str(saved), pooling="cls"), [text])
        np.testing.assert_allclose(vector, states[:, 0].numpy(), atol=TOLERANCE)

    def test_distilbert_is_of_the_family(self, folder: Path) -> None:
        from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

        (folder / "model.safetensors").unlink()
        config = DistilBertConfig(vocab_size=64, dim=24, n_layers=1, n_heads=2, hidden_dim=16)
        model = DistilBertModel(config).eval()
        model.save_pretrained(folder)
        tokens = AutoTokenizer.from_pretrained(folder)("red bird", return_tensors="pt")
        with torch.inference_mode():
            states = model(tokens["input_ids"]).last_hidden_state
        vectors = encode_all(build("text_bert", model=str(folder)), ["red bird", "bird " * 30])
        np.testing.assert_allclose(vectors[0], states[0].mean(0).numpy(), atol=TOLERANCE)

    def test_text_beyond_the_limit_is_cut(self, saved: Path) -> None:
        extractor = build("text_bert", model=str(saved))
        assert len(extractor.load("bird " * 500)) == 64  # the encoder has no more positions
        assert len(build("text_bert", model=str(saved), max_length=20).load("bird " * 500)) == 20

    def test_megabytes_cost_no_more_than_a_page(self, saved: Path) -> None:
        extractor = build("text_bert", model=str(saved))
        page = extractor.load("bird " * 500)
        start = time.process_time()
        np.testing.assert_array_equal(extractor.load("bird " * 1_000_000), page)
        assert time.process_time() - start < 1

    def test_similar_lengths_share_a_batch(self, saved: Path) -> None:
        extractor = build("text_bert", model=str(saved))
        texts = ["bird", "red bird", "bird " * 13, "bird " * 15, "bird " * 62]
        loaded = [extractor.load(text) for text in texts]
        assert [len(ids) for ids in loaded] == [3, 4, 15, 17, 64]
        assert [extractor.batch_key(ids) for ids in loaded] == [16, 16, 16, 32, 64]

    def test_what_is_no_text_fails_alone(self, saved: Path) -> None:
        with pytest.raises(MediaError, match="surrogates not allowed at character 4"):
            build("text_bert", model=str(saved)).load("the \ud800 bird")

    def test_folder_without_vocabulary_is_refused(self, folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").unlink()
        with pytest.raises(WeightsError, match=r"no vocabulary; allowed: one of .*vocab\.txt"):
            build("text_bert", model=str(folder)).load("bird")

    def test_tokenizer_of_another_model_is_refused(self, folder: Path) -> None:
        edit_json(folder / "config.json", lambda found: found.update(vocab_size=5))
        with pytest.raises(WeightsError, match=r"64 tokens beside an encoder of 5"):
            build("text_bert", model=str(folder)).load("bird")

    def test_decoder_is_refused(self, folder: Path) -> None:
        edit_json(folder / "config.json", lambda found: found.update(is_encoder_decoder=True))
        with pytest.raises(WeightsError, match="found a decoder"):
            build("text_bert", model=str(folder)).space("float16")

    def test_code_of_the_checkpoint_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        marker = tmp_path / "executed"
        (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n")
        own = {"AutoConfig": "own.Own", "AutoModel": "own.Own", "AutoTokenizer": ["own.Own", None]}
        edit_json(
            folder / "config.json", lambda found: found.update(model_type="own", auto_map=own)
        )
        edit_json(folder / "tokenizer_config.json", lambda found: found.update(auto_map=own))
        with pytest.raises(WeightsError, match="contains custom code"):
            build("text_bert", model=str(folder)).build_backbone()
        build("text_bert", model=str(folder)).load("bird")  # by tokenizer.json alone
        assert not marker.exists()


class TestClip:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        tiny_checkpoints.save_clip(tmp_path / "checkpoint")
        return tmp_path / "checkpoint"

    @pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
    def test_prepares_pictures_as_the_checkpoint_says(
        self, folder: Path, tmp_path: Path, resize_mode: str
    ) -> None:
        preprocess = {"resize_mode": resize_mode, "interpolation": "bilinear", "fill_color": 7}
        edit_json(
            folder / "open_clip_config.json",
            lambda found: found["preprocess_cfg"].update(preprocess),
        )
        pictures = write_pictures(tmp_path)
        with torch.inference_mode():
            expected = refer_clip(folder, pictures)
        extractor = build("image_clip", model=str(folder))
        np.testing.assert_allclose(encode_all(extractor, pictures), expected, atol=TOLERANCE)
        assert extractor.fingerprint_parts()["preprocessing"]["resize_mode"] == resize_mode

    @pytest.mark.parametrize(
        ("key", "value"), [("interpolation", "lanczos"), ("resize_mode", "tile"), ("size", 0)]
    )
    def test_a_transform_that_does_not_exist_is_refused(
        self, folder: Path, key: str, value: object
    ) -> None:
        section = ("model_cfg", "vision_cfg") if key == "size" else ("preprocess_cfg",)
        name = "image_size" if key == "size" else key

        def edit(found: Any) -> None:
            for part in section:
                found = found[part]
            found[name] = value

        edit_json(folder / "open_clip_config.json", edit)
        with pytest.raises(WeightsError, match=rf"preprocess_cfg\.{key}.*found"):
            build("image_clip", model=str(folder)).build_processor()

    @pytest.mark.parametrize("size", [(2040, 10), (10, 2040), (30_000, 20)])
    def test_the_far_ends_of_a_long_picture_make_no_difference(
        self, folder: Path, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "long.png")
        extractor = build("image_clip", model=str(folder))
        whole = extractor.processor.apply(Image.fromarray(noise))
        pixels = extractor.load(tmp_path / "long.png")
        np.testing.assert_allclose(pixels, whole, atol=2)

    def test_the_longest_picture_takes_little_memory(self, folder: Path, tmp_path: Path) -> None:
        """Scaled as a whole, it would take more than 100 GB."""
        Image.new("RGB", (40_000_000, 1)).save(tmp_path / "line.png")
        pixels = build("image_clip", model=str(folder)).load(tmp_path / "line.png")
        assert pixels.shape == (3, 32, 32)

    def test_tag_stands_for_a_hub_id(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill_cache(tmp_path, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "a" * 40, folder)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        by_tag = build("image_clip", model="ViT-B-32", pretrained="laion2b_s34b_b79k")
        assert by_tag.weights.identity == "a" * 40
        assert by_tag.space("float16") == build("image_clip").space("float16")

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"model": "ViT-B-32"}, r"'ViT-B-32' without `pretrained`"),
            ({"model": "ViT-B-32", "pretrained": "laion2b"}, r"'laion2b'.*laion2b_s34b_b79k"),
            ({"model": "ViT-B-3", "pretrained": "openai"}, r"did you mean 'ViT-B-32'\?"),
            ({"model": "./gone"}, "'./gone', which is no folder"),
        ],
    )
    def test_what_open_clip_lacks_is_refused(self, config: dict[str, str], message: str) -> None:
        with pytest.raises(WeightsError, match=message):
            build("image_clip", **config).space("float16")

    def test_folder_of_another_library_is_refused(self, folder: Path) -> None:
        (folder / "open_clip_config.json").rename(folder / "config.json")
        with pytest.raises(WeightsError, match=r"cannot read open_clip_config\.json"):
            build("image_clip", model=str(folder)).space("float16")

    def test_text_tower_from_elsewhere_is_refused(self, folder: Path) -> None:
        edit_json(
            folder / "open_clip_config.json",
            lambda found: found["model_cfg"]["text_cfg"].update(hf_model_name="xlm-roberta-base"),
        )
        with pytest.raises(WeightsError, match="a checkpoint of its own"):
            build("image_clip", model=str(folder)).space("float16")


class TestWav2Vec2:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        tiny_checkpoints.save_wav2vec2(tmp_path / "checkpoint")
        return tmp_path / "checkpoint"

    def test_older_names_of_weights_are_known(self, folder: Path, tmp_path: Path) -> None:
        sound = write_sound(tmp_path / "a.wav", 9000)
        before = encode_all(build("audio_wav2vec2", model=str(folder)), [sound])
        weights = load_file(folder / "model.safetensors")
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            conv = "encoder.pos_conv_embed.conv."
            weights[conv + old] = weights.pop(f"{conv}parametrizations.weight.{new}")
        del weights["masked_spec_embed"]  # trains, and does nothing else
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        after = encode_all(build("audio_wav2vec2", model=str(folder)), [sound])
        np.testing.assert_allclose(before, after, atol=TOLERANCE)

    def test_sound_shorter_than_a_frame_fails_alone(self, folder: Path, tmp_path: Path) -> None:
        extractor = build("audio_wav2vec2", model=str(folder))
        assert np.isfinite(encode_all(extractor, [write_sound(tmp_path / "a.wav", 40)])).all()
        with pytest.raises(MediaError, match=r"lasts 0\.0049 s, less than one frame .*0\.0050 s"):
            extractor.load(write_sound(tmp_path / "b.wav", 39))

    def test_hears_the_start_of_a_long_sound(self, folder: Path, tmp_path: Path) -> None:
        extractor = build("audio_wav2vec2", model=str(folder), max_seconds=0.5)
        loaded = extractor.load(write_sound(tmp_path / "a.wav", 9000))
        np.testing.assert_array_equal(loaded, soundfile.read(tmp_path / "a.wav")[0][: RATE_HZ // 2])

    def test_processor_saved_whole_is_understood(self, folder: Path, tmp_path: Path) -> None:
        sound = write_sound(tmp_path / "a.wav", 9000)
        before = encode_all(build("audio_wav2vec2", model=str(folder)), [sound])
        part = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": part}))
        (folder / "preprocessor_config.json").unlink()
        after = encode_all(build("audio_wav2vec2", model=str(folder)), [sound])
        np.testing.assert_array_equal(before, after)

    def test_other_architecture_is_refused(self, tmp_path: Path) -> None:
        tiny_checkpoints.save_bert(tmp_path / "bert")
        with pytest.raises(WeightsError, match=r"'bert'; allowed for audio_wav2vec2: 'wav2vec2'"):
            build("audio_wav2vec2", model=str(tmp_path / "bert")).space("float16")


class TestClap:
    def test_fusing_checkpoint_is_no_game_of_chance(self, tmp_path: Path) -> None:
        tiny_checkpoints.save_clap(tmp_path / "checkpoint", fusion=True)
        extractor = build("audio_clap", model=str(tmp_path / "checkpoint"))
        sounds = [write_sound(tmp_path / f"{size}.wav", size) for size in (5000, 9000, 30_000)]
        first = encode_all(extractor, sounds)
        again = np.concatenate([encode_all(extractor, [sound]) for sound in sounds])
        np.testing.assert_allclose(first, again, atol=TOLERANCE)


class TestVideoMae:
    def test_frames_must_fill_tubelets(self, tmp_path: Path) -> None:
        tiny_checkpoints.save_videomae(tmp_path / "checkpoint")
        extractor = build("video_videomae", model=str(tmp_path / "checkpoint"), num_frames=5)
        with pytest.raises(WeightsError, match="num_frames: found 5; allowed: a multiple of 2"):
            extractor.space("float16")

    def test_the_far_ends_of_long_frames_make_no_difference(self, tmp_path: Path) -> None:
        tiny_checkpoints.save_videomae(tmp_path / "checkpoint")
        extractor = build("video_videomae", model=str(tmp_path / "checkpoint"), num_frames=2)
        noise = np.random.default_rng(0).integers(0, 255, (10, 2040, 3), dtype=np.uint8)
        write_clip(tmp_path / "long.mkv", [noise] * 2, "ffv1", pix_fmt="bgr0")
        whole = extractor.processor([noise] * 2, do_rescale=False, do_normalize=False)
        frames = extractor.load(tmp_path / "long.mkv")
        np.testing.assert_allclose(frames, np.asarray(whole["pixel_values"][0]), atol=2)
