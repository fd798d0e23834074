"""The [source] tables of the manifests: every one makes a source, and the lists in them are complete."""

import tomllib
from pathlib import Path

import pytest

from inrzoo import manifest, registry

MANIFESTS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "manifests").glob("*.toml"))}


def source_of(name):
    return registry.make("sources", tomllib.loads(MANIFESTS[name].read_text(encoding="utf-8"))["source"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_source_can_be_made(name):
    source = source_of(name)
    if hasattr(source, "url"):
        assert source.url.startswith("https://") and source.hashes
        for value in source.hashes.values():
            kind, digest = value.split(":")
            assert len(bytes.fromhex(digest)) == {"md5": 16, "sha256": 32}[kind]


def test_mini_imagenet_has_64_16_20_classes():
    classes = source_of("mini_imagenet").classes
    assert {split: len(names) for split, names in classes.items()} == {"train": 64, "validation": 16, "test": 20}
    every = [name for names in classes.values() for name in names]
    assert len(set(every)) == 100 and all(name[0] == "n" and len(name) == 9 and name[1:].isdigit() for name in every)


def test_fewshot_cifar100_has_12_4_4_superclasses():
    source = source_of("fewshot_cifar100")
    sizes = {split: len(names) for split, names in source.split_classes.items()}
    assert sizes == {"train": 12, "validation": 4, "test": 4}
    assert len({name for names in source.split_classes.values() for name in names}) == 20
    assert source.columns == ["fine_label", "coarse_label"] and source.split_column == "coarse_label"


def test_idx_manifests_name_the_four_files():
    for name in ("mnist", "fashion_mnist"):
        source = source_of(name)
        assert len(source.class_names) == len(set(source.class_names)) == 10
        assert sorted(source.hashes) == [
            f"{part}-{kind}-ubyte.gz" for part in ("t10k", "train") for kind in ("images-idx3", "labels-idx1")
        ]


def test_sounds_have_coordinates_of_one_distance_and_the_parameters_that_their_manifests_say():
    for name, preset, num_params in (
        ("spoken_digits", "standard", 4849),
        ("spoken_digits", "small", 2209),
        ("speech", "one_second", 8513),
        ("speech", "three_seconds", 18_913),
    ):
        settings = manifest.load(name, preset=preset)
        assert settings.coords.extent / settings.source["num_samples"] == 33 / 4096
        inr = registry.make("inrs", settings.inr, in_features=1, out_features=1)
        assert inr.layout.num_params == num_params
        assert f"{num_params:,} parameters" in MANIFESTS[name].read_text(encoding="utf-8")


def test_views_have_one_background_and_the_parameters_that_their_manifests_say():
    for name, num_params in (("nerf_synthetic", 8836), ("furniture_views", 2372)):
        settings = manifest.load(name)
        assert settings.source["background"] == settings.observation["background"]
        inr = registry.make("inrs", settings.inr, in_features=3, out_features=4)
        assert inr.layout.num_params == num_params
        assert f"{num_params:,} parameters" in MANIFESTS[name].read_text(encoding="utf-8")
