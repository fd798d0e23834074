# %% [markdown]
# # Sounds
#
# A sound is a function of time, and a SIREN represents it as it does a picture. The example `tones` makes its
# twelve sounds by a formula; a folder of recordings works the same way, see the end.

# %%
import tempfile
from pathlib import Path

import inrzoo

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Build
#
# On the command line: `inrzoo build tones`. A PSNR flatters sounds, which are quiet most of the time; the manifest
# also keeps the signal-to-noise ratio (SNR) of each INR.

# %%
report = inrzoo.build("tones", out=folder / "tones.zarr")
store = inrzoo.open_store(folder / "tones.zarr")
print(report.num_inrs, "INRs; SNR in dB:")
print(store.measures["snr"][:, 0, -1].round(1))
assert store.measures["snr"].min() > 10

# %% [markdown]
# ## Look
#
# Waveforms and spectrograms, the original beside its INR; `inrzoo preview tones.zarr` writes the same.

# %%
from PIL import Image

from inrzoo.preview import preview

preview(store, folder / "tones.png", num_signals=4)
Image.open(folder / "tones.png")

# %% [markdown]
# ## Listen
#
# `inrzoo render tones.zarr --signal 3 --out tone.wav` writes what an INR says as a sound file, and `--finer 4` at
# four times the rate: an INR has no rate of its own. `inrzoo view tones.zarr` plays all of them in the browser.

# %%
from inrzoo.rendering import write_rendering

for finer in (1, 4):
    sound = folder / f"tone_{finer}.wav"
    print(write_rendering(store, sound, signal=3, finer=finer))

# %% [markdown]
# ## Recordings of your own
#
# ```toml
# title = "My recordings"
#
# [source]
# name = "audio_folder"     # WAV, FLAC, Ogg, MP3: pip install 'inrzoo[audio]'
# sample_rate = 8000
# num_samples = 8192
# channels = "mean"
# ```
#
# [Sounds](../signals.md#sounds) says what decides the quality; `inrzoo show audio_folder` has all fields, and
# `spoken_digits` and `speech` are manifests to start from: `inrzoo build spoken_digits --source PATH`.
