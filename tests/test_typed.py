"""An error about an option names it as it was typed, and a name that is nearly right is answered with the right one."""

import pytest

from inrzoo import api, nearest
from inrzoo.api.typed import checked
from inrzoo.errors import InrzooError
from inrzoo.manifest import load


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--steps -5", "--steps -5 is not allowed; it must be at least 1"),
        ("--seeds 0", "--seeds 0 is not allowed; it must be at least 1"),
        ("--lr 1e-3 --limit 0", "--limit 0 is not allowed; it must be at least 1"),
        ("--views 5,3", "--views 5,3 is not allowed; it must be ascending"),
        ("--views 5,30 --steps 10", "--views 5,30 is not allowed; the fit has fit.steps = 10"),
        ("--anti-alias -1", "--anti-alias -1.0 is not allowed; it must be 0 or more"),
        ("--inr sirn", "--inr sirn: no inrs called 'sirn' (did you mean 'siren'?); there are: fourier_net"),
        ("--inr Relu-Mlp", "--inr Relu-Mlp: no inrs called 'Relu-Mlp' (did you mean 'relu_mlp'?)"),
        ("--preset smal", "--preset smal: no preset 'smal' (did you mean 'small'?); there are: small"),
        ("--recipe fst", "--recipe fst: no recipe 'fst' (did you mean 'fast'?); there are: fast"),
        ("--engine fusd", "--engine fusd is not allowed (did you mean 'fused'?); expected one of 'auto'"),
        ("--products bf16", "--products bf16 is not allowed (did you mean 'bf16x3'?)"),
        ("--set inr.omega_0=-3", "--set inr.omega_0=-3 is not allowed; it must be above 0"),
        ("--set inr.omga_0=3", "--set inr.omga_0=3: siren has no field 'omga_0' (given 3) (did you mean 'omega_0'?)"),
        ("--set fit.stepz=3", "--set fit.stepz=3: unknown key 'fit.stepz' (given 3) (did you mean 'steps'?)"),
        ("--inr gabor_net --set inr.omega_0=3", "--set inr.omega_0=3: gabor_net has no field 'omega_0'"),
        ("--set source.name=digitz", "no sources called 'digitz' (did you mean 'digits'?)"),
        ("--set observation.name=gird", "no observations called 'gird' (did you mean 'grid'?)"),
    ],
)
def test_an_option_of_build_is_named_as_it_was_typed(inrzoo, tmp_path, words, says):
    code, out, err = inrzoo("build", "digits", *words.split(), "--out", tmp_path / "x.zarr")
    assert (code, out) == (2, "") and says in err and err.startswith("inrzoo: --") and err.count("\n") == 1, err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("tune digits --inr sirn", "--inr sirn: no inrs called 'sirn' (did you mean 'siren'?)"),
        ("tune digits --set fit.lr=-1", "--set fit.lr=-1 is not allowed"),
        ("train classify x --encoder flat_mpl", "--encoder flat_mpl: no encoders called 'flat_mpl' (did you mean"),
        ("train classify x --steps -1", "--steps -1 is not allowed; it must be at least 1"),
        ("train classify x --lr abc", "--lr abc is not allowed; expected a number"),
        ("train classify x --normalise per_tnsor", "--normalise per_tnsor is not allowed (did you mean 'per_tensor'?)"),
        ("train classify x --augment rotat=3", "no transforms called 'rotat' (did you mean 'rotate'?)"),
        ("train classify x --set encodr.size=3", "--set encodr.size=3 is not allowed; expected encoder.KEY"),
        ("train clasify x", "No such command 'clasify'. (Did you mean one of: 'classify', 'classify-signals'?)"),
        ("biuld digits", "No such command 'biuld'. Did you mean 'build'?"),
        ("train end-to-end dgits", "no dataset of that name (did you mean 'digits'?)"),
        ("export STORE --convention dw --out y", "no convention 'dw' (did you mean 'dws'?)"),
        ("train classify STORE --label digt", "no label column called 'digt' (did you mean 'digit'?)"),
        ("show siern", "nothing is called 'siern' (did you mean 'siren'?)"),
        ("bench --workload W11", "no workload called 'W11' (did you mean 'W1'?)"),
    ],
)
def test_other_commands_do_so_too(inrzoo, finished_small, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = inrzoo(*(finished_small if word == "STORE" else word for word in words.split()))
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1, err
    assert err.count("--encoder") <= 1 and "toml" not in err


def test_names_in_a_store_are_answered_with_the_nearest(store):
    for condition, says in (({"split": "trian"}, "'train'"), ({"status": ["early_stop"]}, "'early stop'")):
        with pytest.raises(InrzooError, match=rf"did you mean {says}"):
            store.select(**condition)


def test_in_python_the_options_are_named_alike():
    with pytest.raises(InrzooError, match=r"^--steps -5 is not allowed"):
        api.build("digits", steps=-5)


def test_an_error_of_the_file_keeps_its_name(tmp_path):
    (tmp_path / "mine.toml").write_text('[source]\nname = "digits"\n[inr]\nname = "siren"\nomega_0 = -1\n')
    with pytest.raises(InrzooError, match=r"^mine.toml: omega_0 = -1.0 is not allowed"):
        api.build(tmp_path / "mine.toml", steps=5)
    with pytest.raises(InrzooError, match=r"^digits.toml: unknown key"):  # who reads a manifest by itself types nothing
        load("digits", overrides={"fit.stepz": 3})


def test_of_two_wrong_options_the_one_of_the_error_is_named():
    def make(settings):
        for key in ("a.first", "b.second"):
            if settings.get(key, 0) < 0:
                raise InrzooError(f"{key} = {settings[key]} is not allowed; it must be 0 or more")
        return settings

    typed = {"b.second": "--second -2", "a.first": "--first -1"}
    with pytest.raises(InrzooError, match=r"^--first -1 is not allowed; it must be 0 or more$"):
        checked(make, {"a.first": -1, "b.second": -2}, typed)
    with pytest.raises(InrzooError, match=r"^--second -2 is not allowed"):
        checked(make, {"a.first": 1, "b.second": -2}, typed)
    assert checked(make, {"a.first": 1}, typed) == {"a.first": 1}


@pytest.mark.parametrize("name", ["RELU_MLP", "relu-mlp", "relumlp", "rel_mlp"])
def test_case_and_hyphens_make_no_difference(name):
    assert nearest.hint(name, ["siren", "relu_mlp"]) == " (did you mean 'relu_mlp'?)"
    assert nearest.hint("zzz", ["siren", "relu_mlp"]) == ""
