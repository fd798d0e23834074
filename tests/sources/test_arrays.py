"""Fields of NetCDF, zarr and npz files: values at their coordinates, the globe, packed numbers, damage."""

import re

import numpy as np
import pytest
import xarray
from scipy.io import netcdf_file
from small_datasets import all_values
from small_fields import LEVELS, MONTHS, PACKED, globe, on_sphere, save, waves

from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.sources._globe import globe_points
from inrzoo.sources.arrays import Arrays

ON_GRID = {"variable": "z", "coords": ("latitude", "longitude"), "signals": ("month", "level")}
ON_GLOBE = {**ON_GRID, "globe": True, "stride": 3}


def tables(signals):
    return [table for _, table in signals.tables(range(len(signals)))]


def every_point(table):
    """All points of a signal and their values."""
    return (
        np.concatenate([table["points"], table["held_out_points"]]),
        np.concatenate([table["signals"], table["held_out_signals"]])[:, 0],
    )


def spots(points):
    """Points as a set; the same place has the same digits."""
    return {tuple(point) for point in (np.round(points, 5) + 0.0).tolist()}


def refused(source, path, said):
    with pytest.raises(InrzooError, match=said) as caught:
        source.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_values_on_the_globe_are_those_of_the_formula_at_their_points(tmp_path):
    signals = Arrays(**ON_GLOBE).read(save(globe(), tmp_path / "a.nc"))
    for number, table in enumerate(tables(signals)):
        points, values = every_point(table)
        assert points.dtype == values.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(values, 280 + 10 * waves(points.astype(np.float64), number), atol=1e-4)


@pytest.mark.parametrize("seam_twice", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 5])
def test_fitted_and_held_out_points_are_all_points_of_the_globe_once(tmp_path, stride, seam_twice):
    dataset = globe(seam_twice=seam_twice)
    signals = Arrays(**{**ON_GLOBE, "stride": stride}).read(save(dataset, tmp_path / "a.nc"))
    points, _ = every_point(tables(signals)[0])
    assert len(points) == 11 * 24 + 2, "each pole is one point"
    assert spots(points) == spots(on_sphere(dataset.latitude, dataset.longitude).reshape(-1, 3))
    assert signals.grid == (len(tables(signals)[0]["points"]),)


def test_the_seam_and_the_poles_are_no_edges(tmp_path):
    """The distance of each fitted point of a latitude to the next one to the east is the same, across the seam too."""
    points = tables(Arrays(**ON_GLOBE).read(save(globe(seam_twice=True), tmp_path / "a.nc")))[0]["points"]
    for height in (0.0, np.sin(np.radians(45))):
        ring = points[np.abs(points[:, 2] - height) < 1e-6]
        assert len(ring) == 8
        steps = np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    assert [tuple(np.abs(point.round(6))) for point in points if abs(point[2]) > 0.999] == [(0, 0, 1)] * 2


def test_held_out_points_are_capped_and_even_over_the_area(tmp_path):
    path = save(globe(61, 120), tmp_path / "a.nc")
    whole, some = (tables(Arrays(**ON_GLOBE, num_held_out=count).read(path))[0] for count in (10**6, 1500))
    assert len(some["held_out_points"]) == 1500
    assert spots(some["held_out_points"]) < spots(whole["held_out_points"])
    np.testing.assert_array_equal(some["points"], whole["points"])
    # Heights of points that are even over a sphere are uniform (Archimedes), with a variance of 1/3.
    heights = some["held_out_points"][:, 2]
    assert abs(heights.mean()) < 0.05 and heights.var() == pytest.approx(1 / 3, abs=0.04)
    assert whole["held_out_points"][:, 2].var() > 0.45, "rows of a grid crowd at the poles"


def test_a_pole_with_several_values_is_refused_dropped_or_its_first(tmp_path):
    path = save(globe(), tmp_path / "a.nc")
    settings = {**ON_GLOBE, "variable": "u"}
    refused(Arrays(**settings), path, r'u/month=1/level=200 has values of u \(m s\*\*-1\) .*poles = "drop"')
    first, dropped = (tables(Arrays(**settings, poles=poles).read(path))[0] for poles in ("first", "drop"))
    points, values = every_point(first)
    at_pole = np.abs(points[:, 2]) > 0.999
    assert at_pole.sum() == 2 and values[at_pole][0] == np.float32(globe().u[0, 0, 0, 0])
    points, _ = every_point(dropped)
    assert len(points) == 11 * 24 and np.abs(points[:, 2]).max() < 0.99


def test_longitudes_in_radians_uneven_or_from_zero_are_the_same_globe(tmp_path):
    degrees = globe().isel(latitude=[0, 1, 3, 4, 7, 12], longitude=[0, 2, 3, 9, 11, 20])
    turned = degrees.assign_coords(longitude=degrees.longitude % 360)
    radians = degrees.assign_coords(
        {dim: (dim, np.radians(degrees[dim].values.astype(float)), {"units": "radians"}) for dim in ON_GRID["coords"]}
    )
    read = []
    for name, dataset in {"degrees": degrees, "turned": turned, "radians": radians}.items():
        (tmp_path / name).mkdir()
        read.append(tables(Arrays(**ON_GLOBE).read(save(dataset, tmp_path / name / "a.nc")))[4])
    for other in read[1:]:
        for name in other:
            np.testing.assert_allclose(other[name], read[0][name], atol=1e-6)


def test_a_grid_is_that_of_the_file_with_axes_that_ascend(tmp_path):
    dataset = globe()
    signals = Arrays(**ON_GRID).read(save(dataset, tmp_path / "a.nc"))
    assert (signals.grid, signals.channels, signals.dtype) == ((13, 24), 1, "float32")
    assert signals.axes == (
        Axis(name="latitude", unit="degrees_north", start=-90.0, step=15.0),
        Axis(name="longitude", unit="degrees_east", start=-180.0, step=15.0),
    )
    latitudes, longitudes = (axis.measures(size) for axis, size in zip(signals.axes, signals.grid, strict=True))
    for number, values in enumerate(all_values(signals)):
        expected = 280 + 10 * waves(on_sphere(latitudes, longitudes), number)
        np.testing.assert_allclose(values[..., 0], expected, atol=1e-4)
    coarse = Arrays(**ON_GRID, stride=5).read(tmp_path / "a.nc")
    assert coarse.grid == (3, 5) and [axis.step for axis in coarse.axes] == [75.0, 75.0]
    np.testing.assert_array_equal(all_values(coarse), all_values(signals)[:, ::5, ::5])


def test_packed_numbers_with_a_negative_scale_are_the_formula_within_half_a_step(tmp_path):
    path = save(globe()[["z"]], tmp_path / "a.nc", **PACKED)
    with netcdf_file(path, mmap=False) as raw:
        assert raw.variables["z"].data.dtype == ">i2" and raw.variables["z"].scale_factor < 0
    points, values = every_point(tables(Arrays(**ON_GLOBE).read(path))[5])
    # float32 holds 280 to 3e-5.
    np.testing.assert_allclose(values, 280 + 10 * waves(points.astype(np.float64), 5), atol=0.0005 + 6e-5, rtol=0)


def test_a_missing_number_is_counted(tmp_path):
    dataset = globe()[["z"]]
    dataset.z[1, 2, 4, 5:8] = np.nan
    for name, encoding in (("packed", PACKED), ("plain", {})):
        path = save(dataset, tmp_path / f"{name}.nc", **encoding)
        for settings in (ON_GRID, ON_GLOBE):
            refused(Arrays(**settings), path, r"3 of 1872 numbers of z \(K\) are missing .* in z/month=7/level=850")
    large = xarray.Dataset({"z": globe().z.astype(np.float64) * 1e37})
    refused(Arrays(**ON_GRID), save(large, tmp_path / "large.nc"), r"1872 of 1872 numbers")


def test_dimensions_are_signals_labels_and_numbers(tmp_path):
    signals = Arrays(**ON_GLOBE, labels=("level",), num_test=3).read(save(globe(), tmp_path / "a.nc"))
    assert signals.ids[4] == "z/month=7/level=500" and len(signals) == 6
    assert signals.label_names == {"level": ["200", "500", "850"], "variable": ["z (K)"]}
    assert signals.labels["level"].tolist() == [0, 1, 2] * 2
    assert signals.numbers["level"].tolist() == list(LEVELS) * 2
    assert signals.numbers["month"].tolist() == np.repeat(MONTHS, 3).tolist()
    for code in range(3):
        assert np.bincount(signals.split[signals.labels["level"] == code], minlength=3).tolist() == [1, 0, 1]


def test_variables_or_a_dimension_are_channels(tmp_path):
    dataset = globe()
    path = save(dataset, tmp_path / "a.nc")
    both = Arrays(**{**ON_GRID, "variable": ("z", "u")}).read(path)
    assert both.channels == 2 and both.label_names == {"variable": ["z (K)+u (m s**-1)"]}
    expected = np.stack([dataset.z, dataset.u], axis=-1).astype(np.float32).reshape(6, 13, 24, 2)[:, ::-1]
    np.testing.assert_array_equal(all_values(both), expected)
    levels = Arrays(variable="z", coords=("latitude", "longitude"), signals=("month",), channels="level").read(path)
    assert (len(levels), levels.channels) == (2, 3)
    expected = dataset.z.values.astype(np.float32).transpose(0, 2, 3, 1)[:, ::-1]
    np.testing.assert_array_equal(all_values(levels), expected)
    one = Arrays(variable="z", coords=("month", "latitude", "longitude"), channels="level").read(path)
    assert (one.grid, list(one.ids)) == ((2, 13, 24), ["z"])


def test_times_are_seconds_and_their_months_labels(tmp_path):
    hours = np.array([0, 31 * 24, 59 * 24, 366 * 24 + 6])
    dataset = xarray.Dataset(
        {"t": (("time", "x"), np.arange(12.0).reshape(4, 3))},
        coords={"time": ("time", hours.astype(np.int32), {"units": "hours since 2001-01-01"})},
    )
    signals = Arrays(variable="t", coords=("x",), signals=("time",), labels=("time.month",)).read(
        save(dataset, tmp_path / "a.nc")
    )
    assert list(signals.ids) == [
        "t/time=2001-01-01",
        "t/time=2001-02-01",
        "t/time=2001-03-01",
        "t/time=2002-01-02T06:00:00",
    ]
    assert signals.label_names["month"] == ["1", "2", "3"] and signals.labels["month"].tolist() == [0, 1, 2, 0]
    assert signals.numbers["time"].tolist() == [978_307_200 + 3600 * int(hour) for hour in hours]
    assert signals.axes == (Axis(name="x"),)


def test_netcdf4_zarr_and_npz_give_what_netcdf3_gives(tmp_path):
    dataset = globe()
    expected = tables(Arrays(**ON_GLOBE).read(save(dataset, tmp_path / "a.nc")))
    arrays = {name: dataset[name].values for name in ("z", *dataset.dims)}
    np.savez(tmp_path / "a.npz", dims=np.array(list(dataset.z.dims)), **arrays)
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    dataset.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    for name in ("a.npz", "a.zarr", "b.zarr"):
        signals = Arrays(**ON_GLOBE).read(tmp_path / name)
        assert len(signals.checksums) == 1
        for ours, theirs in zip(tables(signals), expected, strict=True):
            for array in theirs:
                np.testing.assert_array_equal(ours[array], theirs[array])


def test_netcdf4_gives_what_netcdf3_gives(tmp_path):
    pytest.importorskip("h5py", reason="the extra fields is not installed")
    expected = Arrays(**ON_GRID).read(save(globe(), tmp_path / "a.nc"))
    globe().to_netcdf(tmp_path / "b.nc", engine="h5netcdf", encoding={"z": {"zlib": True}})
    signals = Arrays(**ON_GRID).read(tmp_path / "b.nc")
    np.testing.assert_array_equal(all_values(signals), all_values(expected))
    assert signals.axes == expected.axes and signals.label_names == expected.label_names


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variable": ()}, r"needs variable, .* has: z \(month, level, latitude, longitude\), u \("),
        ({"coords": ()}, "needs coords"),
        ({"variable": "t"}, r"has no variable 't'; it has: z \(month, level, latitude, longitude\), u \("),
        ({"coords": ("lat", "longitude")}, "has the dimensions month, level, latitude, longitude, and no 'lat'"),
        ({"signals": ("month",)}, "'level' is in none of source.coords, signals and channels"),
        ({"coords": ("longitude", "latitude"), "globe": True, "stride": 2}, "degrees_east; .* the latitude first"),
        ({"stride": 13}, "latitude has 13 points with stride = 13"),
        ({"globe": True, "stride": 99}, "leaves 1 of the points to fit, 265 held out"),
        ({"labels": ("month.month",)}, "month holds no times of the standard calendar, and so has no month"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_one_line(tmp_path, changes, said):
    path = save(globe(), tmp_path / "a.nc")
    refused(Arrays(**{**ON_GRID, **changes}), path, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.isel(latitude=[3]), "latitude has 1 point "),
        (lambda data: data.isel(latitude=[0, 1, 3, 4]), "coordinates of latitude are not evenly spaced"),
        (lambda data: data.isel(month=[]), "holds 0 signals"),
        (lambda data: data.assign(z=data.z.astype(str)), "type |no variable"),
        (lambda data: data.assign_coords(latitude=data.latitude * np.nan), "coordinates of latitude are not evenly"),
    ],
)
def test_variables_that_do_not_fit_are_one_line(tmp_path, change, said):
    change(globe()[["z"]]).to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    refused(Arrays(**ON_GRID), tmp_path / "a.zarr", said)


def test_a_globe_has_each_place_once():
    even = np.arange(8) * 45.0
    for latitudes, longitudes, said in (
        ([0, 91], even, "latitude 91 is beyond 90"),
        ([0, 1, 1], even, "latitude 1 occurs twice"),
        ([0, 1], [0, 90, 450, 200], "longitude 90 occurs twice"),
        ([0, 1], [0, 90, 360, 200], "longitude 0 occurs twice"),
    ):
        with pytest.raises(InrzooError, match=said):
            globe_points("file", np.array(latitudes, float), np.array(longitudes, float), 2, 9, "same", 0)


@pytest.mark.parametrize("name", ["a.nc", "b.npz", "c.nc"])
def test_every_cut_of_a_file_is_one_line_or_the_whole_signal(tmp_path, name):
    if name == "c.nc":
        pytest.importorskip("h5py", reason="the extra fields is not installed")
        globe()[["z"]].to_netcdf(tmp_path / name, engine="h5netcdf")
    elif name == "a.nc":
        save(globe()[["z"]], tmp_path / name)
    else:
        np.savez(tmp_path / name, z=globe().z.values, dims=np.array(list(globe().z.dims)))
    whole = (tmp_path / name).read_bytes()
    expected = all_values(Arrays(**ON_GRID).read(tmp_path / name))
    for share in (0, 3, 40, 300, len(whole) // 3, len(whole) // 2, len(whole) - 2000):
        (tmp_path / name).write_bytes(whole[:share])
        refused(Arrays(**ON_GRID), tmp_path / name, "is damaged|is no NetCDF|is neither|has no variable")
    (tmp_path / name).write_bytes(whole)
    np.testing.assert_array_equal(all_values(Arrays(**ON_GRID).read(tmp_path / name)), expected)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no zip", b"CDF\x01", b"\x89HDF\r\n\x1a\n"])
def test_other_files_are_one_line(tmp_path, content):
    (tmp_path / "a.nc").write_bytes(content)
    refused(Arrays(**ON_GRID), tmp_path / "a.nc", "is damaged|is no NetCDF|is neither|inrzoo.fields")


def test_objects_that_need_code_are_not_read(tmp_path):
    globe()[["z"]].to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    file = tmp_path / "a.zarr" / "z" / ".zarray"
    file.write_text(re.sub(r'"filters": null', '"filters": [{"id": "p\\\\u0069ckle"}]', file.read_text()))
    refused(Arrays(**ON_GRID), tmp_path / "a.zarr", "pickled objects")
    np.savez(tmp_path / "b.npz", z=np.array([{}], dtype=object))
    refused(Arrays(**ON_GRID), tmp_path / "b.npz", "Python objects")


def test_a_folder_holds_one_file(tmp_path):
    for name in ("a.nc", "b.nc"):
        save(globe(), tmp_path / name)
    refused(Arrays(**ON_GRID), tmp_path, "holds 2 files of arrays; name one")
    (tmp_path / "b.nc").unlink()
    assert len(Arrays(**ON_GRID).read(tmp_path)) == 6
