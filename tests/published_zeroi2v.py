"""A slow, obvious ZeroI2V in the published code's terms: random state dicts and their logits.

Written from the equations: channels (not heads) are shifted, one slice after the other.
"""

import torch
import torch.nn.functional as F

ADAPTERS = {
    2: "T_Adapter_in S_Adapter MLP_Adapter MLP_Adapter_out",
    1: "T_Adapter_in S_Adapter MLP_Adapter",
}
ADAPTERS[-1] = "T_Adapter_in MLP_Adapter"


def make_config(**changes):
    """Arguments of a small published backbone."""
    config = {
        "input_resolution": 32,
        "num_frames": 5,
        "patch_size": 16,
        "width": 48,
        "layers": 2,
        "heads": 12,
        "num_tadapter": 2,
        "adapter_scale": 0.5,
        "stdha_cfg": {"shift_div": 12, "divide_head": False},
    }
    return config | changes


def make_state(config, seed=0, num_classes=7):
    """A random state dict with the published names; nothing in it is zero."""
    generator = torch.Generator().manual_seed(seed)
    width = config["width"]

    def draw(*shape, std=0.2):
        return torch.randn(*shape, generator=generator) * std

    state = {
        "class_embedding": draw(width),
        "positional_embedding": draw(
            (config["input_resolution"] // config["patch_size"]) ** 2 + 1, width
        ),
        "temporal_embedding": draw(1, config["num_frames"], width),
        "conv1.weight": draw(width, 3, config["patch_size"], config["patch_size"], std=0.05),
    }
    for name in ("ln_pre", "ln_post"):
        state |= {f"{name}.weight": 1 + draw(width), f"{name}.bias": draw(width)}
    for layer in range(config["layers"]):
        state |= {f"transformer.resblocks.{layer}.{k}": v for k, v in _block(config, draw).items()}
    state = {f"backbone.{name}": value for name, value in state.items()}
    head = {"weight": draw(num_classes, width), "bias": draw(num_classes)}
    return state | {f"cls_head.fc_cls.{name}": value for name, value in head.items()}


def _block(config, draw):
    width, hidden = config["width"], int(config["width"] * config.get("mlp_ratio", 0.25))
    block = {
        "attn.in_proj_weight": draw(3 * width, width),
        "attn.in_proj_bias": draw(3 * width),
    }
    linear = [("attn.out_proj", width, width), ("mlp.c_fc", 4 * width, width)]
    linear += [("mlp.c_proj", width, 4 * width)]
    for adapter in ADAPTERS[config["num_tadapter"]].split():
        linear += [(f"{adapter}.D_fc1", hidden, width), (f"{adapter}.D_fc2", width, hidden)]
    for name, out, inside in linear:
        block |= {f"{name}.weight": draw(out, inside), f"{name}.bias": draw(out)}
    for name in ("ln_1", "ln_2"):
        block |= {f"{name}.weight": 1 + draw(width), f"{name}.bias": draw(width)}
    return block


def shift(z, cfg, heads):
    """(B, T, N, D): each frame's channels from where the published slices take them."""
    width, out = z.shape[-1], z.clone()
    if cfg.get("ops_type") == "tcs":
        fold, per_head = width // heads // cfg["shift_div"], width // heads
        for head in range(heads):
            _move(out, z, head * per_head, fold, -1)
            _move(out, z, head * per_head + fold, fold, 1)
        return out
    start = 0
    for step in (1, 2, 3, 4):
        div = cfg.get(f"shift{step}_div", -1)
        right = step <= 2 or cfg.get(f"shift{step}_right", False)
        if "shift_div" in cfg and step <= 2:
            div = cfg["shift_div"] if step == 1 else cfg.get("long_shift_div", -1)
            right = step == 1 or cfg.get("long_shift_right", False)
        if div > 0:
            fold = width // div
            _move(out, z, start, fold, -step)
            if right:
                _move(out, z, start + fold, fold, step)
            start += fold * (2 if right else 1)
    return out


def _move(out, z, start, fold, offset):
    for t in range(z.shape[1]):
        if 0 <= t + offset < z.shape[1]:
            out[:, t, :, start : start + fold] = z[:, t + offset, :, start : start + fold]


def logits(state, config, video):
    """(B, 3, T, H, W) -> (B, K), in double precision."""
    state = {name.removeprefix("backbone."): value.double() for name, value in state.items()}
    x = _embed(state, config, video.double())
    for layer in range(config["layers"]):
        prefix = f"transformer.resblocks.{layer}."
        block = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        x = _forward_block(x, block, config)
    feature = _norm(x[:, :, 0], state, "ln_post").mean(1)
    return F.linear(feature, state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"])


def _embed(state, config, video):
    frames = video.transpose(1, 2).flatten(0, 1)
    x = F.conv2d(frames, state["conv1.weight"], stride=config["patch_size"]).flatten(2).mT
    x = torch.cat([state["class_embedding"].expand(len(x), 1, -1), x], 1)
    x = x + state["positional_embedding"]
    x = x.unflatten(0, (-1, config["num_frames"])) + state["temporal_embedding"][0][:, None]
    return _norm(x, state, "ln_pre")


def _forward_block(x, block, config):
    def adapt(y, name):
        if f"{name}.D_fc1.weight" not in block:
            return y
        hidden = _linear(y, block, f"{name}.D_fc1")
        hidden = F.gelu(hidden) if config.get("adapter_type") == "gelu" else hidden
        return y + config["adapter_scale"] * _linear(hidden, block, f"{name}.D_fc2")

    y = adapt(_norm(x, block, "ln_1"), "T_Adapter_in")
    y = F.linear(y, block["attn.in_proj_weight"], block["attn.in_proj_bias"])
    cfg, heads = config["stdha_cfg"], config["heads"]
    query, key, value = y.chunk(3, -1)
    query = shift(query, cfg, heads) if cfg.get("shift_pattern") == "qkv" else query
    parts = [query, shift(key, cfg, heads), shift(value, cfg, heads)]
    query, key, value = (p.unflatten(-1, (heads, -1)).transpose(2, 3) for p in parts)
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    x = x + adapt(
        _linear((weights @ value).transpose(2, 3).flatten(3), block, "attn.out_proj"), "S_Adapter"
    )
    y = _linear(adapt(_norm(x, block, "ln_2"), "MLP_Adapter"), block, "mlp.c_fc")
    y = _linear(y * torch.sigmoid(1.702 * y), block, "mlp.c_proj")
    return x + adapt(y, "MLP_Adapter_out")


def _norm(x, state, name):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def _linear(x, state, name):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def merge_as_published(state, config):
    """Fold every adapter into its neighbour: A = I + s W2 W1, a = s (W2 b1 + b2)."""
    merged = dict(state)
    neighbours = {
        "T_Adapter_in": ("attn.in_proj_weight", "attn.in_proj_bias", False),
        "S_Adapter": ("attn.out_proj.weight", "attn.out_proj.bias", True),
        "MLP_Adapter": ("mlp.c_fc.weight", "mlp.c_fc.bias", False),
        "MLP_Adapter_out": ("mlp.c_proj.weight", "mlp.c_proj.bias", True),
    }
    for layer in range(config["layers"]):
        prefix = f"backbone.transformer.resblocks.{layer}."
        for adapter, (weight, bias, last) in neighbours.items():
            names = [
                f"{prefix}{adapter}.{n}"
                for n in ("D_fc1.weight", "D_fc1.bias", "D_fc2.weight", "D_fc2.bias")
            ]
            if names[0] not in merged:
                continue
            w1, b1, w2, b2 = (merged.pop(name).double() for name in names)
            matrix = torch.eye(len(b2)).double() + config["adapter_scale"] * w2 @ w1
            offset = config["adapter_scale"] * (w2 @ b1 + b2)
            old_w, old_b = merged[prefix + weight].double(), merged[prefix + bias].double()
            new = (
                (matrix @ old_w, matrix @ old_b + offset)
                if last
                else (old_w @ matrix, old_w @ offset + old_b)
            )
            merged[prefix + weight], merged[prefix + bias] = (value.float() for value in new)
    return merged
