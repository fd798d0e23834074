"""Surfaces by marching cubes, and where they lie."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from constructed import BLOCK

from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.observations.points import Points
from inrzoo.rendering.kinds import kind_of
from inrzoo.rendering.surfaces import Level, Surface, level_of, placed, volume_surface
from inrzoo.store import Store

Stores = Callable[[str], Store]
INSIDE, OUTSIDE = Level(0.0, 0.0, inside_above=True), Level(0.0, 0.0, inside_above=False)


def mesh_of(surface: Surface) -> trimesh.Trimesh:
    return trimesh.Trimesh(surface.vertices_V3, surface.faces_F3, process=False)


@pytest.mark.parametrize("level", [INSIDE, OUTSIDE])
def test_the_surface_of_a_ball_has_its_radius_its_volume_and_normals_that_point_outward(level: Level) -> None:
    distances = np.linalg.norm(np.indices((32, 32, 32)) - np.full((3, 1, 1, 1), 15.5), axis=0) - 10.0
    surface = volume_surface(-distances if level.inside_above else distances, level)
    directions = surface.vertices_V3 - 15.5
    radii = np.linalg.norm(directions, axis=1)
    assert abs(radii - 10).max() < 0.05
    assert mesh_of(surface).is_watertight
    assert mesh_of(surface).volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)
    assert ((directions / radii[:, None] * surface.normals_V3).sum(axis=1) > 0.98).all()


def test_a_surface_is_closed_where_it_meets_the_border() -> None:
    surface = volume_surface(np.ones((4, 5, 6)), INSIDE)
    assert mesh_of(surface).is_watertight
    assert surface.vertices_V3.min(axis=0).tolist() == [-0.5, -0.5, -0.5]
    assert surface.vertices_V3.max(axis=0).tolist() == [3.5, 4.5, 5.5]


@pytest.mark.parametrize(
    ("volume", "said"),
    [(np.full((3, 3, 3), -1.0), "no surface where the signal is 0"), (np.full((3, 3, 3), np.nan), "not finite")],
)
def test_a_volume_without_a_surface_is_one_line(volume: np.ndarray, said: str) -> None:
    with pytest.raises(InrzooError, match=said):
        volume_surface(volume, INSIDE)


def test_voxels_are_in_voxels_or_as_their_axes_measure_them(stores: Stores) -> None:
    store = stores("voxels")
    values = store.signal_table(np.array([0])).values().reshape(store.info.grid)
    middle = level_of(store, 0, store.info.grid)
    assert (middle.number, middle.value, middle.inside_above) == (127.5, 0.0, True)
    steps = volume_surface(values, middle)
    in_voxels = placed(store, steps, store.info.grid)
    low, high = [part.start - 0.5 for part in BLOCK], [part.stop - 0.5 for part in BLOCK]
    np.testing.assert_allclose(in_voxels.vertices_V3.min(axis=0), low)
    np.testing.assert_allclose(in_voxels.vertices_V3.max(axis=0), high)

    # A grid twice as fine has its points at quarters of a voxel.
    finer = volume_surface(values.repeat(2, 0).repeat(2, 1).repeat(2, 2), middle)
    in_voxels = placed(store, finer, tuple(2 * size for size in store.info.grid))
    np.testing.assert_allclose(in_voxels.vertices_V3.min(axis=0), low)
    np.testing.assert_allclose(in_voxels.vertices_V3.max(axis=0), high)

    axes = (Axis(name="x", start=5.0, step=2.0), Axis(name="y", step=-1.0), Axis(name="z", step=0.5))
    store.info = dataclasses.replace(store.info, axes=axes)
    measured = placed(store, steps, store.info.grid)
    np.testing.assert_allclose(measured.vertices_V3.min(axis=0), [5 + 2 * low[0], -high[1], 0.5 * low[2]])
    np.testing.assert_allclose(measured.vertices_V3.max(axis=0), [5 + 2 * high[0], -low[1], 0.5 * high[2]])
    mesh = mesh_of(measured)
    assert mesh.volume == pytest.approx(mesh_of(steps).volume)  # an axis that falls does not turn it inside out
    assert ((mesh.vertex_normals * measured.normals_V3).sum(axis=1) > 0.5).all()


def test_the_level_depends_on_the_quantity(stores: Stores) -> None:
    store, grid = stores("solids"), (48, 48, 48)
    assert level_of(store, 0, grid) == Level(0.0, 0.0, inside_above=False)
    assert level_of(store, 0, grid, -0.25).value == -0.5
    store.observation = Points(quantity="udf")
    assert level_of(store, 0, grid).number == pytest.approx(1 / 47)  # half a step: a thinner shell has holes
    assert level_of(store, 0, (256,) * 3).number == 0.02
    store.observation = Points(quantity="occupancy")
    assert level_of(store, 0, grid) == Level(0.0, 0.0, inside_above=True)  # limits are ±0.5


def test_the_level_of_logits_is_that_of_even_odds(stores: Stores) -> None:
    store = stores("solids")
    store.observation = Points(quantity="occupancy", loss="bce")
    values = dataclasses.replace(store.info.manifest.settings.values, range=(0.0, 1.0), limits=(0.0, 255.0))
    store.info = dataclasses.replace(store.info, manifest=SimpleNamespace(values=values, weights="float32"))
    store.limits = np.array([[0.0, 255.0]])
    assert level_of(store, 0, (8, 8, 8)) == Level(0.0, 127.5, inside_above=True)
    assert level_of(store, 0, (8, 8, 8), 204.0).value == pytest.approx(np.log(4))
    with pytest.raises(InrzooError, match=r"--level 255.0 is not allowed; expected more than 0 and less than 255"):
        level_of(store, 0, (8, 8, 8), 255.0)


def test_kinds_of_signals(stores: Stores, finished) -> None:
    from inrzoo.store import open_store

    names = {
        "tones": "sound",
        "solids": "shape",
        "wind": "field",
        "wind_levels": "field",
        "voxels": "voxels",
        "balls": "views",
    }
    assert {name: kind_of(stores(name)) for name in names} == names
    assert (kind_of(stores("scattered")), kind_of(open_store(finished))) == ("points", "image")
