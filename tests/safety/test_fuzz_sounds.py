"""Sound files, damaged in their headers and samples, and the tables that label them."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from cases import Sandbox, fuzz
from hostile import damaged
from hypothesis import strategies as st
from test_fuzz_archives import read, zipped

KINDS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", None)}


def sound(kind: str) -> bytes:
    """A tenth of a second of noise."""
    buffer = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, 800)
    soundfile.write(buffer, samples, 8000, format=KINDS[kind][0], subtype=KINDS[kind][1])
    return buffer.getvalue()


SOUNDS = {kind: sound(kind) for kind in KINDS}
TABLE = b"filename,kind\n0.wav,dog\n1.flac,cat\n2.ogg,cat\n3.mp3,dog\n"


@pytest.fixture
def target() -> None:
    return None


@fuzz(st.data(), slow=1000)
def test_sound_files(data: Any, sandbox: Sandbox, target: None) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    members = {f"{name}/0.wav": SOUNDS["wav"] for name in "ab"} | {f"a/x.{kind}": data.draw(damaged(SOUNDS[kind]))}
    path = sandbox.given / "a.zip"
    path.write_bytes(zipped(members))
    fields = {
        "sample_rate": data.draw(st.sampled_from((8000, 11_025))),
        "channels": data.draw(st.sampled_from(("refuse", "mean", "first"))),
        "skip_unreadable": data.draw(st.booleans()),
    }
    sandbox.call(lambda: read({"name": "audio_folder", **fields}, path))


@fuzz(st.data(), slow=500)
def test_tables_of_labels(data: Any, sandbox: Sandbox, target: None) -> None:
    members = {f"{number}.{kind}": content for number, (kind, content) in enumerate(SOUNDS.items())}
    path = sandbox.given / "a.zip"
    path.write_bytes(zipped(members | {"meta.csv": data.draw(damaged(TABLE))}))
    sandbox.call(lambda: read({"name": "audio_folder", "labels_csv": "meta.csv", "label_columns": ["kind"]}, path))
