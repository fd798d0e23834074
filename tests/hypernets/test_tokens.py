"""TransINR and GINR-IPC: patches, token counts, groups, norms, modulation, attention."""

import pytest
import torch
from small import make, make_inr, randomise_, signals

from inrzoo import registry
from inrzoo.encoders.weight_transformer import Transformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets.tokens.patches import PatchTokens
from inrzoo.native import curvature, library

PAPER = {
    "name": "relu_mlp",
    "hidden_features": 256,
    "hidden_layers": 3,
    "encoding": "log_spaced",
    "num_frequencies": 64,
    "sigma": 64.0,
}
NARROW = {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8}
MODULATIONS = ["shared_u", "direct", "own_u", "hadamard"]


def paper(name: str, **fields):
    inr = registry.make("inrs", PAPER, in_features=2, out_features=3)
    return registry.make("hypernets", {"name": name, **NARROW, **fields}, inr=inr, sizes=(178, 178))


def test_token_counts_of_the_papers():
    trans_inr, instance_patterns = paper("trans_inr"), paper("instance_patterns")
    assert len(trans_inr.token_names) == 259
    assert [trans_inr.token_names.count(f"weight_{i}") for i in range(5)] == [64, 64, 64, 64, 3]
    assert len(instance_patterns.token_names) == 256
    assert trans_inr.data_tokens.num_tokens == instance_patterns.data_tokens.num_tokens == 400
    assert instance_patterns.composer.name == "weight_1"


def test_patches_are_the_blocks_of_the_padded_grid():
    tokens = PatchTokens((178, 178), 9, 3, 4)
    images = torch.rand(2, 178, 178, 3)
    padded = torch.zeros(2, 180, 180, 3)
    padded[:, 1:-1, 1:-1] = images
    patches = tokens.patches(images.reshape(2, -1, 3))
    assert patches.shape == (2, 400, 243)
    for number, row, column in [(0, 0, 0), (21, 1, 1), (39, 1, 19), (399, 19, 19)]:
        block = padded[:, 9 * row : 9 * row + 9, 9 * column : 9 * column + 9]
        assert torch.equal(patches[:, number], block.flatten(1))


@pytest.mark.parametrize(
    "sizes, patch, counts", [((7,), 3, (3,)), ((2, 4, 6), (1, 2, 3), (2, 2, 2)), ((5, 4), 8, (1, 1))]
)
def test_every_value_is_in_one_patch(sizes, patch, counts):
    tokens = PatchTokens(sizes, patch, 2, 4)
    assert tokens.counts == counts
    values = torch.arange(1.0, 2 * torch.tensor(sizes).prod() + 1).reshape(1, -1, 2)
    patches = tokens.patches(values)
    found = patches[patches != 0]
    assert torch.equal(found.sort().values, values.flatten())


def test_patches_of_views_are_cut_view_by_view():
    tokens = PatchTokens((3, 4, 4), (1, 2, 2), 1, 4)
    values = torch.rand(2, 48, 1)
    alone = PatchTokens((4, 4), 2, 1, 4).patches(values[:, 16:32])
    assert torch.equal(tokens.patches(values)[:, 4:8], alone)


@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns"])
def test_channels_of_the_signal_may_be_more_than_the_inrs(name):
    hypernet = make(name, channels=9)
    assert hypernet(torch.zeros(35, 2), torch.rand(2, 35, 9)).shape == (2, hypernet.inr.layout.num_params)


@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns", "cavia"])
def test_rows_have_unit_norm_and_biases_are_shared(name):
    hypernet = randomise_(make(name, inr=make_inr(hidden_features=12))).eval()
    tensors = hypernet.inr.layout.split(hypernet(*signals()))
    for key, part in tensors.items():
        if key.startswith("weight"):
            torch.testing.assert_close(part.norm(dim=-1), torch.ones(part.shape[:-1]))
        else:
            assert (part == part[:1]).all()
    different = {key for key, part in tensors.items() if (part[0] != part[1]).any()}
    assert different == ({f"weight_{i}" for i in range(4)} if name == "trans_inr" else {"weight_1"})


def test_matrices_that_are_not_made_are_shared():
    hypernet = randomise_(make("trans_inr", matrices=("weight_1", "weight_3"))).eval()
    assert {*hypernet.token_names} == {"weight_1", "weight_3"}
    tensors = hypernet.inr.layout.split(hypernet(*signals()))
    assert {key for key, part in tensors.items() if (part[0] != part[1]).any()} == {"weight_1", "weight_3"}
    assert torch.equal(tensors["weight_0"][0], hypernet.base["weight_0"])
    for matrices in ((), ("weight_1", "bias_0")):
        with pytest.raises(
            InrzooError, match=r"^matrices = .* is not allowed; there are: weight_0, weight_1, weight_2"
        ):
            make("trans_inr", matrices=matrices)


@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns", "cavia"])
def test_rows_of_a_siren_have_the_norm_of_its_start(name):
    inr = make_inr("siren", hidden_features=64, omega_0=20.0)
    tensors = inr.layout.split(make(name, inr).eval()(*signals()))
    for i, bound in enumerate([1 / 2, (6 / 64) ** 0.5 / 20, (6 / 64) ** 0.5 / 20, (6 / 64) ** 0.5 / 20]):
        norms = tensors[f"weight_{i}"].norm(dim=-1)
        fan_in = 2 if i == 0 else 64
        assert (norms / (bound * (fan_in / 3) ** 0.5) - 1).abs().max() < 0.2
    unit = inr.layout.split(make(name, inr, row_norm="unit").eval()(*signals()))
    torch.testing.assert_close(unit["weight_1"].norm(dim=-1), torch.ones(3, 64))


@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns", "cavia"])
def test_frequencies_of_one_coordinate_are_not_all_alike(name):
    """A norm would leave the sign of such a row alone."""
    inr = make_inr("siren", 1, hidden_features=64)
    frequencies = inr.layout.split(make(name, inr).eval()(*signals(1)))["weight_0"].abs()
    assert (frequencies.std(dim=1) > 0.3 * frequencies.mean(dim=1)).all()


def test_without_norms_a_multiplicative_filter_network_of_two_filters_is_affine_in_the_pattern():
    inr = make_inr("fourier_net", num_filters=2)
    hypernet = make("instance_patterns", inr, row_norm="none").eval()
    first, second = hypernet.instances(*signals())[:2]
    u, names = hypernet.composer.u, hypernet.composer.parts["v"]
    weights = inr.layout.split(hypernet.weights(first[None]))
    torch.testing.assert_close(weights[hypernet.composer.name][0], u @ first.view(names))
    ends, between = torch.stack([first, second]), (0.3 * first + 0.7 * second)[None]
    outputs = inr(hypernet.weights(ends), signals()[0])
    torch.testing.assert_close(inr(hypernet.weights(between), signals()[0])[0], 0.3 * outputs[0] + 0.7 * outputs[1])


@pytest.mark.parametrize("grouping, expected", [("block", [0, 0, 0, 1, 1, 2, 2]), ("tile", [0, 1, 2, 0, 1, 2, 0])])
def test_groups_of_rows(grouping, expected):
    """Rows of one group share u: they change together, and no other row does."""
    hypernet = make("trans_inr", inr=make_inr(hidden_features=7), groups=3, grouping=grouping).eval()
    assert hypernet.get_buffer("group_of_row_weight_1").tolist() == expected
    instances = hypernet.instances(*signals())
    start = hypernet.counts["weight_0"] * hypernet.fan_ins["weight_0"]
    for group in range(3):
        moved = instances.clone()
        moved[:, start + 7 * group : start + 7 * (group + 1)] += torch.rand(7)
        before, after = (hypernet.inr.layout.split(hypernet.weights(each)) for each in (instances, moved))
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert changed == {"weight_1"}
        rows = (before["weight_1"] != after["weight_1"]).any(dim=-1).all(dim=0)
        assert rows.tolist() == [each == group for each in expected]


def test_groups_are_the_papers_where_they_divide_the_rows():
    block, tile = paper("trans_inr", grouping="block"), paper("trans_inr")
    rows = torch.arange(256)
    assert torch.equal(block.get_buffer("group_of_row_weight_2"), rows // 4)
    assert torch.equal(tile.get_buffer("group_of_row_weight_2"), rows % 64)


def test_a_generated_row_is_the_normalised_product_with_its_base():
    hypernet = randomise_(make("trans_inr")).eval()
    tensors = hypernet.inr.layout.split(hypernet(*signals()))
    outputs = hypernet.weight_token_outputs(signals()[1])
    names = hypernet.token_names
    for key in ("weight_0", "weight_3"):
        u = hypernet.heads[key](outputs[:, [i for i, name in enumerate(names) if name == key]])
        group_of = hypernet.get_buffer(f"group_of_row_{key}")
        for row, base in enumerate(hypernet.base[key]):
            product = u[:, group_of[row]] * base
            torch.testing.assert_close(tensors[key][:, row], product / product.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("name", ["instance_patterns", "cavia"])
def test_modulations(name, modulation):
    inr = make_inr(hidden_features=5)
    hypernet = randomise_(make(name, inr, modulation=modulation, layer=3)).eval()
    instances = hypernet.instances(*signals())
    composer = hypernet.composer
    if modulation in ("shared_u", "own_u"):
        v = instances[:, :15].reshape(3, 3, 5)
        u = composer.u if modulation == "shared_u" else instances[:, 15:].reshape(3, 3, 5).mT
        matrix = torch.stack([(u if u.ndim == 2 else u[i]) @ v[i] for i in range(3)])
        assert torch.linalg.matrix_rank(inr.layout.split(hypernet.weights(instances))["weight_2"]).tolist() == [3] * 3
    else:
        matrix = instances.reshape(3, 5, 5) * (composer.u if modulation == "hadamard" else 1)
    expected = matrix / matrix.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(inr.layout.split(hypernet.weights(instances))["weight_2"], expected)


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_one_layer_is_of_the_signal(layer):
    hypernet = make("instance_patterns", layer=layer).eval()
    tensors = hypernet.inr.layout.split(hypernet(*signals()))
    assert [key for key, part in tensors.items() if (part[0] != part[1]).any()] == [f"weight_{layer - 1}"]


def test_modulated_matrix_starts_at_the_scale_of_the_paper():
    torch.manual_seed(0)
    composer = paper("instance_patterns").composer
    assert abs(composer.u.std().item() * 256 - 1) < 0.02
    matrix = composer.u @ torch.randn(256, 256)
    assert abs(matrix.std().item() * 16 - 1) < 0.03


def test_attention_maps_are_what_the_encoder_uses():
    """One head, one block: outputs recomputed from the maps and the values equal the block's."""
    torch.manual_seed(0)
    encoder = Transformer(6, 1, 1, 6, 8, qkv_bias=True)
    tokens = torch.randn(2, 5, 6)
    block = encoder.blocks[0]
    normed = block.norms[0](tokens)
    values = normed @ block.attention.qkv.weight[12:].T + block.attention.qkv.bias[12:]
    maps = encoder.attention_maps(tokens)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 1, 5))
    torch.testing.assert_close(block.attention(normed), block.attention.out(maps[:, 0] @ values))


def test_later_attention_maps_see_what_earlier_blocks_made():
    torch.manual_seed(0)
    encoder = Transformer(6, 3, 2, 3, 8)
    tokens = torch.randn(2, 5, 6)
    later = Transformer(6, 3, 2, 3, 8)
    later.blocks = encoder.blocks[1:]
    torch.testing.assert_close(encoder.attention_maps(tokens), later.attention_maps(encoder.blocks[0](tokens)))
    assert torch.equal(encoder.attention_maps(tokens, 2), encoder.attention_maps(tokens, -1))
    with pytest.raises(IndexError):
        encoder.attention_maps(tokens, 3)


@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns"])
def test_attention_from_weight_tokens_to_patches(name):
    hypernet = make(name).eval()
    _, values = signals()
    maps = hypernet.attention_maps(values)
    assert maps.shape == (3, 2, len(hypernet.token_names), 3, 2)
    total = maps.flatten(3).sum(-1)
    assert ((total > 0) & (total < 1)).all()


def test_encoder_matches_torch():
    """Pre-norm, no final norm, no dropout, no layer scale: torch's own encoder layer."""
    torch.manual_seed(0)
    ours = Transformer(8, 1, 2, 4, 12).double()
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True).double()
    block = ours.blocks[0]
    with torch.no_grad():
        for target, source in [
            (theirs.self_attn.in_proj_weight, block.attention.qkv.weight),
            (theirs.self_attn.in_proj_bias, block.attention.qkv.bias),
            (theirs.self_attn.out_proj.weight, block.attention.out.weight),
            (theirs.self_attn.out_proj.bias, block.attention.out.bias),
            (theirs.linear1.weight, block.mlp[0].weight),
            (theirs.linear1.bias, block.mlp[0].bias),
            (theirs.linear2.weight, block.mlp[2].weight),
            (theirs.linear2.bias, block.mlp[2].bias),
        ]:
            target.copy_(source)
    tokens = torch.randn(3, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_layer_scale_multiplies_the_branches():
    torch.manual_seed(0)
    encoder = Transformer(8, 1, 2, 4, 8, layer_scale=0.1)
    tokens = torch.randn(2, 3, 8)
    block = encoder.blocks[0]
    middle = tokens + 0.1 * block.attention(block.norms[0](tokens))
    torch.testing.assert_close(encoder(tokens), middle + 0.1 * block.mlp(block.norms[1](middle)))


@pytest.mark.skipif(library.unavailable() is not None, reason=str(library.unavailable()))
@pytest.mark.parametrize("inr_name", ["siren", "relu_mlp"])
@pytest.mark.parametrize("name", ["trans_inr", "instance_patterns"])
def test_native_errors_are_those_of_autograd(name, inr_name, monkeypatch):
    monkeypatch.setattr(curvature, "LEAST_PRODUCTS", 1)
    omega_0 = {"omega_0": 4.0} if inr_name == "siren" else {}
    hypernet = make(name, make_inr(inr_name, **omega_0), dropout=0.0)
    coords, values = signals()
    results = []
    for native in (True, False):
        hypernet.native = native
        losses = hypernet.loss(coords, values)
        assert ("_SquaredErrors" in losses.grad_fn.name()) is native
        results.append([losses, *torch.autograd.grad(losses.sum(), list(hypernet.parameters()))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.detach().abs().max()))
