"""What the vectors of each extractor without weights tell apart, and what they do not."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from media_files import draw_picture, sine, write_clip, write_gray_clip
from PIL import Image

from extractors.base import Extractor, MediaError, Runtime
from extractors.registry import build_extractor

_PROTEIN = "".join(np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 20_000))


def build(name: str, **config: object) -> Extractor[Any, Any]:
    return build_extractor(name, config, Runtime())


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / (np.linalg.norm(left) * np.linalg.norm(right)))


class TestTextHash:
    def test_what_looks_alike_is_alike(self) -> None:
        hashed = build("text_hash")
        plain = hashed.load("cafe\u0301 123")
        for same in ("café 123", "CAFÉ, 123!", "ｃａｆé　１２３", "Café — «123»"):
            np.testing.assert_array_equal(hashed.load(same), plain)

    def test_rows_have_norm_one(self) -> None:
        for text in ("x", "a red fox " * 500, "🦊"):
            assert np.linalg.norm(build("text_hash").load(text)) == pytest.approx(1, abs=1e-5)

    def test_related_words_are_nearer(self) -> None:
        hashed = build("text_hash")
        dog, dogs, sky = map(hashed.load, ("a running dog", "dogs that run", "clear blue sky"))
        assert cosine(dog, dogs) > cosine(dog, sky) + 0.1

    def test_signs_of_any_script_are_words(self) -> None:
        hashed = build("text_hash")
        texts = ("हिन्दी", "हनद", "🦊", "🐶", "狐", "犬", "$", "ελιά")
        assert len(np.unique([hashed.load(text) for text in texts[:-2]], axis=0)) == 6

    def test_word_order_and_repetition_matter_little(self) -> None:
        hashed = build("text_hash")
        once, often = hashed.load("fox den"), hashed.load("fox " * 100 + "den")
        np.testing.assert_array_equal(once, hashed.load("den fox"))
        assert 0.5 < cosine(once, often) < 1

    @pytest.mark.parametrize("text", ["", " \t\n", "...", "?!", "—"])
    def test_a_text_without_a_word_is_refused(self, text: str) -> None:
        with pytest.raises(MediaError, match="holds no word"):
            build("text_hash").load(text)

    def test_five_megabytes_are_read_in_no_time(self) -> None:
        hashed = build("text_hash")
        start = time.process_time()
        hashed.load("abcdefgh" * 600_000)
        hashed.load("word and another one " * 250_000)
        hashed.load(_PROTEIN * 300)
        assert time.process_time() - start < 1

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (_PROTEIN[:300], _PROTEIN[:64] + _PROTEIN[300:]),
            (_PROTEIN, _PROTEIN[:-1] + "B"),
            (_PROTEIN, _PROTEIN[:10_000] + "B" + _PROTEIN[10_001:]),
            (_PROTEIN[:3000] + _PROTEIN[3000:6000], _PROTEIN[3000:6000] + _PROTEIN[:3000]),
            ("ภาษาไทย" * 10 + "แมวกินปลา", "ภาษาไทย" * 10 + "รถยนต์เร็ว"),
            ("ភាសាខ្មែរ" * 12 + "ឆ្មា", "ភាសាខ្មែរ" * 12 + "ឆ្កែ"),
            ("中文说明没有空格" * 9 + "它生活在四川", "中文说明没有空格" * 9 + "火车非常快"),
            ("https" + "a" * 64 + "cats", "https" + "a" * 64 + "dogs"),
            ("a" * 19_998, "a" * 19_999),
            ("ab" * 500, "ba" * 500),
        ],
        ids=lambda text: text[-9:],
    )
    def test_texts_without_spaces_differ_wherever_a_sign_does(self, left: str, right: str) -> None:
        stored = [build("text_hash").load(text).astype(np.float16) for text in (left, right)]
        assert (stored[0] != stored[1]).any()

    def test_texts_without_spaces_are_as_near_as_their_parts(self) -> None:
        hashed = build("text_hash")
        whole, changed, other = map(
            hashed.load, (_PROTEIN[:300], _PROTEIN[:150] + "B" + _PROTEIN[151:300], _PROTEIN[300:])
        )
        assert cosine(whole, changed) > 0.95
        assert cosine(whole, other) < 0.5

    @pytest.mark.parametrize(
        "texts",
        [
            ("C", "C++", "C#", "C++ C"),
            ("5 degrees", "-5 degrees"),
            ("x=1", "x=-1"),
            ("3.14", "14.3", "3 14"),
            ("1/2", "2/1"),
            ("12:30", "30:12"),
            ("Na", "Na+", "Na-1"),
        ],
    )
    def test_marks_that_make_another_word_or_number_count(self, texts: tuple[str, ...]) -> None:
        rows = [build("text_hash").load(text) for text in texts]
        assert len(np.unique(rows, axis=0)) == len(texts)

    def test_marks_around_words_do_not_count(self) -> None:
        hashed = build("text_hash")
        plain = hashed.load("a b 1990 1995 3.5")
        for same in (
            "a + b 1990-1995 3.5",
            "#a, (b). 1990 - 1995 / 3.5.",
            '"a": b; [1990] 1995 $3.5%',
        ):
            np.testing.assert_allclose(hashed.load(same), plain, atol=1e-6)

    def test_only_the_first_characters_count(self) -> None:
        hashed = build("text_hash", max_characters=7)
        np.testing.assert_array_equal(hashed.load("red fox and more"), hashed.load("red fox"))

    def test_unpaired_surrogates_are_read(self) -> None:
        assert np.isfinite(build("text_hash").load("broken \ud800 text")).all()


class TestImageStats:
    def test_size_hardly_matters(self, tmp_path: Path) -> None:
        stats = build("image_stats")
        small = stats.load(draw_picture(tmp_path / "s.png", "red", "rectangle", 128))
        large = stats.load(draw_picture(tmp_path / "l.png", "red", "rectangle", 512))
        assert cosine(small, large) > 0.98

    def test_colour_place_and_shape_are_told_apart(self, tmp_path: Path) -> None:
        stats = build("image_stats")
        usual = stats.load(draw_picture(tmp_path / "a.png", "red", "rectangle"))
        colour = stats.load(draw_picture(tmp_path / "b.png", "blue", "rectangle"))
        shape = stats.load(draw_picture(tmp_path / "c.png", "red", "ellipse"))
        with Image.open(tmp_path / "a.png") as picture:
            picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, 24, 0, 1, 0)).save(
                tmp_path / "d.png"
            )
        for other in (colour, shape, stats.load(tmp_path / "d.png")):
            assert cosine(usual, other) < 0.97

    @pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
    def test_odd_sizes_have_finite_statistics(self, tmp_path: Path, size: tuple[int, int]) -> None:
        Image.new("RGB", size, "black").save(tmp_path / "odd.png")
        assert np.isfinite(build("image_stats").load(tmp_path / "odd.png")).all()


class TestAudioMel:
    def load(self, folder: Path, samples: np.ndarray, **config: object) -> np.ndarray:
        soundfile.write(folder / "sound.wav", samples, 16_000, subtype="FLOAT")
        return build("audio_mel", **config).load(folder / "sound.wav")

    def test_ten_decibels_are_one_unit(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).normal(0, 0.3, 16_000).astype(np.float32)
        loud, soft = self.load(tmp_path, noise), self.load(tmp_path, noise / np.sqrt(10))
        np.testing.assert_allclose((loud - soft)[:40], 1.0, atol=0.01)
        np.testing.assert_allclose((loud - soft)[40:132], 0.0, atol=0.01)

    def test_a_tone_is_found_in_its_band_and_its_pitch_class(self, tmp_path: Path) -> None:
        low, high = (self.load(tmp_path, sine(hz, 0.5, 16_000)) for hz in (440, 3520))
        assert low[:40].argmax() < high[:40].argmax()
        assert low[120:132].argmax() == high[120:132].argmax() == 0  # A, three octaves apart
        other = self.load(tmp_path, sine(523.25, 0.5, 16_000))
        assert other[120:132].argmax() == 3  # C

    def test_a_beat_is_told_from_a_steady_tone(self, tmp_path: Path) -> None:
        tone = sine(440, 2.0, 16_000)
        steady = self.load(tmp_path, tone)
        beating = self.load(tmp_path, tone * (np.arange(len(tone)) % 2666 < 1333))
        assert beating[-3] > 0.7  # six beats a second: the band 4..8 Hz
        assert beating[80:120].mean() > 3 * steady[80:120].mean()

    @pytest.mark.parametrize("num_samples", [1, 160, 511, 512, 513])
    @pytest.mark.parametrize("level", [0.0, 0.5, 1e6])
    def test_short_silent_and_overdriven_sounds_are_finite(
        self, tmp_path: Path, num_samples: int, level: float
    ) -> None:
        assert np.isfinite(self.load(tmp_path, np.full(num_samples, level))).all()

    def test_the_length_is_told(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, sine(440, 0.1, 16_000))[-1] == pytest.approx(-1, abs=0.01)


class TestVideoStats:
    def test_motion_and_length_are_told(self, tmp_path: Path) -> None:
        levels = {"still": [100] * 8, "flicker": [0, 80, 160, 240] * 2, "long": [100] * 30}
        still, flicker, long = (
            build("video_stats").load(write_gray_clip(tmp_path / f"{name}.mp4", grays))
            for name, grays in levels.items()
        )
        assert still[-3] == pytest.approx(0, abs=0.02)
        assert flicker[-3] > 0.4
        assert still[-1] == pytest.approx(np.log10(0.8), abs=0.06)
        assert long[-1] == pytest.approx(np.log10(3.0), abs=0.06)

    def test_the_place_of_motion_is_told(self, tmp_path: Path) -> None:
        pictures = np.full((8, 64, 64, 3), 128, dtype=np.uint8)
        pictures[::2, :16, 48:] = 0
        pictures[1::2, :16, 48:] = 255
        write_clip(tmp_path / "corner.mp4", pictures)
        motion = build("video_stats").load(tmp_path / "corner.mp4")[-19:-3].reshape(4, 4)
        assert motion[0, 3] > 0.8
        assert np.delete(motion.ravel(), 3).max() < 0.2


class TestNumeric:
    def test_values_stand_before_their_mask_in_sorted_order(self) -> None:
        numeric = build("numeric")
        numeric.prepare([{"year": 1999, "height": 2.5}, {"age": None}])
        assert numeric.space("float16").dtype == "float32"
        assert numeric.space("float16").layout == "values_and_mask"
        assert numeric.fingerprint_parts() == {"attributes": ["age", "height", "year"]}
        row = numeric.load({"year": 1999, "height": 0, "age": None})
        assert row.tolist() == [0, 0, 1999, 0, 1, 1]

    def test_the_config_chooses_the_attributes(self) -> None:
        numeric = build("numeric", attributes=["year", "height"])
        numeric.prepare([{"weight": 3}])
        assert numeric.load({"weight": 3, "year": 7}).tolist() == [0, 7, 0, 1]

    @pytest.mark.parametrize(
        "value",
        ["12", True, float("nan"), float("inf"), -float("inf"), 1e39, -(10**400), [1], {}],
        ids=str,
    )
    def test_what_is_no_number_is_refused_by_name(self, value: object) -> None:
        numeric = build("numeric", attributes=["height"])
        with pytest.raises(MediaError, match=r"attribute 'height': found .*; allowed: a finite"):
            numeric.load({"height": value})

    @pytest.mark.parametrize("value", [0, -3.5, 3.4e38, 10**30, 1e-45])
    def test_every_float32_is_kept(self, value: float) -> None:
        row = build("numeric", attributes=["height"]).load({"height": value})
        assert row.tolist() == [np.float32(value), 1]
