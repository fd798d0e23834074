"""Training steps as published code writes them: autograd on batched tensors, everything at once.

Each function returns the losses of a network of inrzoo, from its own parameters, so that both can be compared number by
number: it computes the same otherwise. Where the papers' code is public, this is how that computes:

* INRs: coordinates and their encodings for each signal, layer after layer as (B, K, H) · (B, H, H').
* inner steps: `torch.autograd.grad(…, create_graph=True)` for each signal; backward differentiates that graph.
* MWT: backward of the cross-entropy, gradients of start and rates times w, backward of the reconstruction error.
* attention: softmax(q kᵀ / √E) v with the whole matrix in memory.
* relational transformer: queries, keys, factors and values of all edges in memory, (B, N, N, A) each.

Shape letters: B batch of signals or INRs, P parameters, K coordinates, D in_features, C channels, I adapted numbers, N
nodes, F and E features of nodes and edges, T tokens.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.encoders.relational_transformer import EdgeUpdate, RelationalLayer, RelationalTransformer
from inrzoo.encoders.weight_transformer import Attention, Transformer, WeightTransformer
from inrzoo.hypernets.end_to_end import EndToEnd
from inrzoo.hypernets.gradient.gradient_based import GradientBasedHypernet
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet
from inrzoo.inrs import INR, Perceptron
from inrzoo.inrs.relu_mlp import ReluMlp

encoding_type = torch.float32
"""Type in which coordinates are encoded. The papers' code takes float32, which resolves an angle of 1,000 π to 2e-4;
inrzoo takes float64, and so do comparisons with it."""


def values_of(inr: INR, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
    """Values of perceptrons, (B, K, C)."""
    kernel = inr.kernel()
    assert isinstance(kernel, Perceptron)
    tensors = inr.layout.split(weights_BP)
    hidden_BKH = coords_BKD
    if isinstance(inr, ReluMlp) and inr.encoding != "none":
        angles = coords_BKD.to(encoding_type) @ torch.from_numpy(inr.frequencies).to(encoding_type).mT
        hidden_BKH = torch.cat([angles.cos(), angles.sin()], dim=-1).to(coords_BKD)
    for i in range(kernel.num_hidden):
        phases = kernel.weight_factors[i] * (hidden_BKH @ tensors[f"weight_{i}"].mT)
        phases = phases + kernel.bias_factors[i] * tensors[f"bias_{i}"][:, None]
        hidden_BKH = phases.sin() if kernel.activation == "sine" else phases.relu()
    last = kernel.num_hidden
    outputs = hidden_BKH @ tensors[f"weight_{last}"].mT + tensors[f"bias_{last}"][:, None]
    return outputs + kernel.output_offset


def errors(inr: INR, weights_BP: Tensor, coords_BKD: Tensor, values_BKC: Tensor) -> Tensor:
    """Mean squared errors, (B,)."""
    return (values_of(inr, weights_BP, coords_BKD) - values_BKC).square().mean(dim=(1, 2))


def adapted(network: GradientBasedHypernet, coords_BKD: Tensor, values_BKC: Tensor) -> Tensor:
    """The instance parts after the inner loop, (B, I)."""
    instances_BI = network.start_instance().expand(len(values_BKC), -1)
    if not instances_BI.requires_grad:
        instances_BI = instances_BI.clone().requires_grad_()
    for step in range(network.inner_steps):
        loss = errors(network.inr, network.weights(instances_BI), coords_BKD, values_BKC).sum()
        (gradient_BI,) = torch.autograd.grad(loss, instances_BI, create_graph=True)
        instances_BI = instances_BI - network.rate(instances_BI, step) * gradient_BI
    return instances_BI


def step_of_gradients(network: GradientBasedHypernet, coords_KD: Tensor, values_BKC: Tensor) -> None:
    """Backward of the error after the inner loop."""
    coords_BKD = coords_KD.expand(len(values_BKC), -1, -1)
    weights_BP = network.weights(adapted(network, coords_BKD, values_BKC))
    errors(network.inr, weights_BP, coords_BKD, values_BKC).mean().backward()


def step_of_mwt(network: EndToEnd, coords_KD: Tensor, values_BKC: Tensor, labels: Tensor) -> None:
    """Both backward passes of MWT."""
    coords_BKD = coords_KD.expand(len(values_BKC), -1, -1)
    instances_BI = adapted(network, coords_BKD, values_BKC)
    error = errors(network.inr, network.weights(instances_BI), coords_BKD, values_BKC).mean()
    offsets_BP = instances_BI.new_zeros(len(instances_BI), len(network.start))
    offsets_BP = offsets_BP.index_add(1, network.get_buffer("adapted"), instances_BI)
    encoder, head = network.classifier
    assert isinstance(encoder, WeightTransformer)
    tokens = functional.linear(
        encoder.modulation_scale * (encoder.tokens(offsets_BP) + encoder.base), encoder.embed.weight, encoder.embed.bias
    )
    scores = head(transformed(encoder.transformer, tokens).mean(dim=1))
    functional.cross_entropy(scores, labels).backward(retain_graph=True)
    for parameter in network.meta_parameters():
        assert parameter.grad is not None
        parameter.grad.mul_(network.task_weight)
    error.backward()


def transformed(transformer: Transformer, tokens_BTF: Tensor) -> Tensor:
    """The output of a transformer, (B, T, F)."""
    for block in transformer.blocks:
        for i, part in enumerate((block.attention, block.mlp)):
            normalised = block.norms[i](tokens_BTF)
            change = attended(part, normalised) if i == 0 else functional.gelu(_linear(part[0], normalised))
            change = change if i == 0 else _linear(part[2], change)
            tokens_BTF = tokens_BTF + (change if block.scales is None else block.scales[i] * change)
    return tokens_BTF


def attended(attention: Attention, tokens_BTF: Tensor) -> Tensor:
    """Attention with its whole matrix."""
    projected = _linear(attention.qkv, tokens_BTF).unflatten(-1, (3, attention.num_heads, -1))
    query, key, value = projected.permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT * query.shape[-1] ** -0.5).softmax(dim=-1)
    return _linear(attention.out, (weights @ value).transpose(1, 2).flatten(2))


def _linear(layer: nn.Linear, inputs: Tensor) -> Tensor:
    return functional.linear(inputs, layer.weight, layer.bias)


def step_of_tokens(network: TokenHypernet, coords_KD: Tensor, values_BKC: Tensor) -> None:
    """Backward of the error of a hypernetwork on tokens; how tokens become weights, a hundredth, is inrzoo's code."""
    data_tokens = network.data_tokens
    data_BTF = _linear(data_tokens.linear, data_tokens.patches(values_BKC)) + data_tokens.positions
    tokens_BTF = torch.cat([data_BTF, network.weight_tokens.expand(len(data_BTF), -1, -1)], dim=1)
    outputs = transformed(network.transformer, tokens_BTF)[:, data_tokens.num_tokens :]
    rows = [network.token_names.count(name) for name in dict.fromkeys(network.token_names)]
    heads = zip(network.heads.values(), outputs.split(rows, dim=1), strict=True)
    instances_BI = torch.cat([head(tokens).flatten(1) for head, tokens in heads], dim=1)
    coords_BKD = coords_KD.repeat(len(values_BKC), 1, 1)
    errors(network.inr, network.weights(instances_BI), coords_BKD, values_BKC).mean().backward()


def features_of(encoder: RelationalTransformer, weights_BP: Tensor) -> Tensor:
    """Features of INRs, (B, out_features)."""
    nodes_BNF, edges_BNNE = encoder.embed(weights_BP)
    for layer in encoder.layers:
        assert isinstance(layer, RelationalLayer)
        nodes_BNF = layer.norm(nodes_BNF + layer.out(_attended_edges(layer, nodes_BNF, edges_BNNE)))
        nodes_BNF = layer.mlp_norm(nodes_BNF + layer.mlp(nodes_BNF))
        if layer.edges is not None:
            edges_BNNE = _updated_edges(layer.edges, nodes_BNF, edges_BNNE)
    return encoder.read_out(nodes_BNF[:, encoder.outputs].flatten(1))


def _attended_edges(layer: RelationalLayer, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
    attention = layer.attention
    query, key, value = attention.of_nodes(nodes_BNF).chunk(3, dim=-1)
    edge_query, edge_key, factor, edge_value = attention.of_edges(edges_BNNE).chunk(4, dim=-1)
    whole = query[:, :, None] + edge_query, key[:, None] + edge_key, value[:, None] * factor + edge_value
    query, key, value = (part.unflatten(-1, (attention.num_heads, -1)) for part in whole)
    weights = ((query * key).sum(-1) / attention.out.in_features**0.5).softmax(dim=2)
    return attention.out((weights[..., None] * value).sum(dim=2).flatten(-2))


def _updated_edges(update: EdgeUpdate, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
    hidden = update.of_edges(torch.cat([edges_BNNE, edges_BNNE.transpose(1, 2)], dim=-1))
    hidden = hidden + update.of_from(nodes_BNF)[:, :, None] + update.of_to(nodes_BNF)[:, None]
    edges_BNNE = update.norm(edges_BNNE + update.out(functional.gelu(hidden)))
    return update.mlp_norm(edges_BNNE + update.mlp(edges_BNNE))
