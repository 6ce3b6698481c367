"""The pretrained extractors as cases: checkpoints, items, and what their own libraries say."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import tiny_checkpoints
import torch
from numpy.typing import NDArray
from PIL import Image

from extractors.base import RawContent, Runtime
from extractors.media.clip import read_frames
from extractors.pretrained import PretrainedExtractor
from extractors.registry import build_extractor

ON_CPU = Runtime(device="cpu", offline=True)
NUM_FRAMES = 4

Vectors = NDArray[np.float32]
AnyPretrained = PretrainedExtractor[Any, Any]


@dataclass(frozen=True)
class Case:
    """What the suite needs to know of one extractor."""

    save: Callable[[Path], None]
    write_items: Callable[[Path], list[RawContent]]
    reference: Callable[[Path, Sequence[RawContent]], Vectors]
    needed_weight: str
    options: Mapping[str, Any] = field(default_factory=dict)
    other_options: Mapping[str, Any] = field(default_factory=dict)
    weights_file: str = "model.safetensors"
    pickled_file: str = "pytorch_model.bin"


def write_texts(folder: Path) -> list[RawContent]:
    return ["", "stamp", "the red bird", "a queen of the red island " * 3, "birds of 1840, " * 90]


def write_pictures(folder: Path) -> list[RawContent]:
    rng = np.random.default_rng(0)
    paths: list[RawContent] = []
    for index, size in enumerate([(32, 32), (50, 71), (8, 90), (40, 33)]):
        path = folder / f"{index}.png"
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def write_sounds(folder: Path) -> list[RawContent]:
    rng = np.random.default_rng(0)
    paths: list[RawContent] = []
    for index, num_samples in enumerate([8000, 20_000, 8000, 1237]):
        path = folder / f"{index}.wav"
        samples = rng.normal(0.01, 0.1, num_samples).astype(np.float32)
        soundfile.write(path, samples, tiny_checkpoints.SOUND_RATE_HZ, subtype="FLOAT")
        paths.append(path)
    return paths


def write_clips(folder: Path) -> list[RawContent]:
    paths: list[RawContent] = []
    for index, (width, height, num_frames) in enumerate([(64, 48, 12), (40, 72, 3), (64, 48, 7)]):
        path = folder / f"{index}.mp4"
        rows, columns = np.mgrid[:height, :width]
        with av.open(path, "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for time_step in range(num_frames):
                gray = (rows * 3 + columns * (index + 1) + time_step * 20) % 256
                picture = np.stack([gray, 255 - gray, gray // 2], -1).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())
        paths.append(path)
    return paths


def refer_bert(folder: Path, items: Sequence[RawContent]) -> Vectors:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in items:
        tokens = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        vectors.append(model(**tokens).last_hidden_state[0].mean(0))
    return torch.stack(vectors).numpy()


def refer_clip(folder: Path, items: Sequence[RawContent]) -> Vectors:
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pictures = [transform(Image.open(str(path))) for path in items]
    return model.eval().encode_image(torch.stack(pictures)).numpy()


def read_samples(path: RawContent) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = soundfile.read(str(path), dtype="float32")[0]
    return samples


def refer_wav2vec2(folder: Path, items: Sequence[RawContent]) -> Vectors:
    from transformers import AutoFeatureExtractor, AutoModel

    prepare = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    rate_hz = tiny_checkpoints.SOUND_RATE_HZ
    vectors = []
    for path in items:
        inputs = prepare(read_samples(path), sampling_rate=rate_hz, return_tensors="pt")
        vectors.append(model(**inputs).last_hidden_state[0].mean(0))
    return torch.stack(vectors).numpy()


def refer_clap(folder: Path, items: Sequence[RawContent]) -> Vectors:
    from transformers import ClapFeatureExtractor, ClapModel

    prepare = ClapFeatureExtractor.from_pretrained(folder)
    model = ClapModel.from_pretrained(folder).eval()
    rate_hz = tiny_checkpoints.SOUND_RATE_HZ
    length = tiny_checkpoints.CLAP_WINDOW_SECONDS * rate_hz
    vectors = []
    for path in items:
        samples = read_samples(path)
        vector = torch.zeros(24)
        for window in np.split(samples, range(length, len(samples), length)):
            mels = prepare(window, sampling_rate=rate_hz, return_tensors="pt")["input_features"]
            embedded = model.audio_projection(model.audio_model(mels).pooler_output)[0]
            vector += embedded * len(window) / len(samples)
        vectors.append(vector)
    return torch.stack(vectors).numpy()


def refer_videomae(folder: Path, items: Sequence[RawContent]) -> Vectors:
    from transformers import AutoImageProcessor, AutoModel

    prepare = AutoImageProcessor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    vectors = []
    for path in items:
        inputs = prepare(list(read_frames(Path(str(path)), NUM_FRAMES)), return_tensors="pt")
        vectors.append(model(**inputs).last_hidden_state[0].mean(0))
    return torch.stack(vectors).numpy()


CASES = {
    "text_bert": Case(
        tiny_checkpoints.save_bert,
        write_texts,
        refer_bert,
        needed_weight="bert.encoder.layer.1.output.dense.weight",
        other_options={"pooling": "cls"},
    ),
    "image_clip": Case(
        tiny_checkpoints.save_clip,
        write_pictures,
        refer_clip,
        needed_weight="visual.proj",
        weights_file="open_clip_model.safetensors",
        pickled_file="open_clip_pytorch_model.bin",
    ),
    "audio_wav2vec2": Case(
        tiny_checkpoints.save_wav2vec2,
        write_sounds,
        refer_wav2vec2,
        needed_weight="feature_projection.projection.weight",
        other_options={"max_seconds": 1.5},
    ),
    "audio_clap": Case(
        tiny_checkpoints.save_clap,
        write_sounds,
        refer_clap,
        needed_weight="audio_projection.linear2.weight",
        other_options={"max_seconds": 1.5},
    ),
    "video_videomae": Case(
        tiny_checkpoints.save_videomae,
        write_clips,
        refer_videomae,
        needed_weight="videomae.encoder.layer.0.output.dense.weight",
        options={"num_frames": NUM_FRAMES},
        other_options={"num_frames": 8},
    ),
}


@dataclass(frozen=True)
class Setup:
    """A case with its checkpoint and items on disk."""

    name: str
    case: Case
    folder: Path
    items: list[RawContent]

    def build(
        self, folder: Path | str | None = None, runtime: Runtime = ON_CPU, **options: Any
    ) -> AnyPretrained:
        config = {"model": str(folder or self.folder), **self.case.options, **options}
        extractor = build_extractor(self.name, config, runtime)
        assert isinstance(extractor, PretrainedExtractor)
        return extractor

    def copy(self, destination: Path) -> Path:
        return Path(shutil.copytree(self.folder, destination))


def encode_all(extractor: AnyPretrained, items: Sequence[RawContent]) -> Vectors:
    """Encode as the extraction does: items of one key together."""
    loaded = [extractor.load(item) for item in items]
    keys = [extractor.batch_key(item) for item in loaded]
    vectors = np.full((len(items), extractor.dim), np.nan, np.float32)
    for key in set(keys):
        rows = [row for row, found in enumerate(keys) if found == key]
        vectors[rows] = extractor.encode([loaded[row] for row in rows])
    return vectors
