"""Slow, obvious AIM and ST-Adapter in the published code's terms: random states and their logits.

Written from the equations, one video, one frame and one convolution tap at a time, in double.
"""

import torch
import torch.nn.functional as F

AIM = {
    "input_resolution": 32,
    "num_frames": 3,
    "patch_size": 16,
    "width": 24,
    "layers": 2,
    "heads": 4,
    "drop_path_rate": 0.2,
    "num_tadapter": 1,
    "adapter_scale": 0.5,
}
ST_ADAPTER = {
    "input_resolution": 48,
    "patch_size": 16,
    "width": 24,
    "layers": 3,
    "heads": 4,
    "num_classes": 5,
    "adapter_width": 6,
    "adapter_layers": 3,
    "adapter_kernel_size": (3, 1, 1),
    "adapter_pre_attn": False,
    "adapter_pre_mlp": True,
}


class Draw:
    """Random tensors by name; nothing in them is zero."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.state = {}

    def tensor(self, name, *shape, mean=0.0, std=0.2):
        self.state[name] = mean + std * torch.randn(*shape, generator=self.generator)

    def linear(self, name, inside, outside):
        self.tensor(f"{name}.weight", outside, inside)
        self.tensor(f"{name}.bias", outside)

    def norm(self, name, width):
        self.tensor(f"{name}.weight", width, mean=1.0)
        self.tensor(f"{name}.bias", width)

    def clip(self, config):
        width, patch = config["width"], config["patch_size"]
        tokens = (config["input_resolution"] // patch) ** 2 + 1
        self.tensor("class_embedding", width)
        self.tensor("positional_embedding", tokens, width)
        self.tensor("conv1.weight", width, 3, patch, patch, std=0.05)
        self.norm("ln_pre", width)
        self.norm("ln_post", width)
        for layer in range(config["layers"]):
            prefix = f"transformer.resblocks.{layer}"
            self.tensor(f"{prefix}.attn.in_proj_weight", 3 * width, width)
            self.tensor(f"{prefix}.attn.in_proj_bias", 3 * width)
            self.linear(f"{prefix}.attn.out_proj", width, width)
            self.linear(f"{prefix}.mlp.c_fc", width, 4 * width)
            self.linear(f"{prefix}.mlp.c_proj", 4 * width, width)
            self.norm(f"{prefix}.ln_1", width)
            self.norm(f"{prefix}.ln_2", width)


def aim_state(config, seed=0, num_classes=5):
    draw, width = Draw(seed), config["width"]
    draw.clip(config)
    draw.tensor("temporal_embedding", 1, config["num_frames"], width)
    names = ["T_Adapter", "S_Adapter", "MLP_Adapter"]
    names += ["T_Adapter_in"] if config["num_tadapter"] == 2 else []
    for layer in range(config["layers"]):
        for name in names:
            prefix = f"transformer.resblocks.{layer}.{name}"
            draw.linear(f"{prefix}.D_fc1", width, int(width * 0.25))
            draw.linear(f"{prefix}.D_fc2", int(width * 0.25), width)
    state = {f"backbone.{name}": value for name, value in draw.state.items()}
    draw.state = {}
    draw.linear("cls_head.fc_cls", width, num_classes)
    return state | draw.state


def st_adapter_state(config, seed=0):
    draw, width, narrow = Draw(seed), config["width"], config["adapter_width"]
    draw.clip(config)
    draw.linear("fc", width, config["num_classes"])
    for layer in range(config["layers"] - config["adapter_layers"], config["layers"]):
        for name in ("adapter_pre_attn", "adapter_pre_mlp"):
            if config[name]:
                prefix = f"transformer.resblocks.{layer}.{name}"
                draw.linear(f"{prefix}.fc1", width, narrow)
                draw.linear(f"{prefix}.fc2", narrow, width)
                draw.tensor(f"{prefix}.conv.weight", narrow, 1, *config["adapter_kernel_size"])
                draw.tensor(f"{prefix}.conv.bias", narrow)
    return draw.state


def aim_logits(state, config, video):
    """(B, 3, T, H, W) -> (B, K)."""
    state = {name.removeprefix("backbone."): value.double() for name, value in state.items()}
    return torch.stack([_aim_one(state, config, clip) for clip in video.double()])


def _aim_one(state, config, clip):
    x = _embed(state, config, clip) + state["temporal_embedding"][0][:, None]  # (T, N, D)
    x = _norm(x, state, "ln_pre")
    for layer in range(config["layers"]):
        block = _block(state, layer)

        def adapter(y, name, block=block):
            return _linear(F.gelu(_linear(y, block, f"{name}.D_fc1")), block, f"{name}.D_fc2")

        y = _norm(x, block, "ln_1")
        if config["num_tadapter"] == 2:
            y = y + adapter(y, "T_Adapter_in")
        tokens = [_attend(y[:, n], block, config) for n in range(y.shape[1])]  # each (T, D)
        x = x + adapter(torch.stack(tokens, 1), "T_Adapter")
        y = _norm(x, block, "ln_1")
        y = torch.stack([_attend(frame, block, config) for frame in y])
        x = x + y + adapter(y, "S_Adapter")
        y = _norm(x, block, "ln_2")
        x = x + _mlp(y, block) + config["adapter_scale"] * adapter(y, "MLP_Adapter")
    feature = _norm(x[:, 0], state, "ln_post").mean(0)
    return _linear(feature, state, "cls_head.fc_cls")


def st_adapter_logits(state, config, video):
    """(B, 3, T, H, W) -> (B, K)."""
    state = {name: value.double() for name, value in state.items()}
    return torch.stack([_st_adapter_one(state, config, clip) for clip in video.double()])


def _st_adapter_one(state, config, clip):
    x = _norm(_embed(state, config, clip), state, "ln_pre")
    for layer in range(config["layers"]):
        block = _block(state, layer)
        x = _convolve(x, block, "adapter_pre_attn")
        y = _norm(x, block, "ln_1")
        x = x + torch.stack([_attend(frame, block, config) for frame in y])
        x = _convolve(x, block, "adapter_pre_mlp")
        x = x + _mlp(_norm(x, block, "ln_2"), block)
    return _linear(_norm(x[:, 0].mean(0), state, "ln_post"), state, "fc")


def _convolve(x, block, name):
    """Tap by tap: each output patch sums the patches around it, in time and space."""
    if f"{name}.conv.weight" not in block:
        return x
    filters = block[f"{name}.conv.weight"][:, 0]  # (channels, time, height, width)
    frames, side = len(x), round((x.shape[1] - 1) ** 0.5)
    narrow = _linear(x[:, 1:], block, f"{name}.fc1").view(frames, side, side, -1)
    out = block[f"{name}.conv.bias"].repeat(frames, side, side, 1)
    for t, h, w in torch.cartesian_prod(*map(torch.arange, (frames, side, side))).tolist():
        for i, j, k in torch.cartesian_prod(*map(torch.arange, filters.shape[1:])).tolist():
            a, b, c = (
                p + q - size // 2
                for p, q, size in zip((t, h, w), (i, j, k), filters.shape[1:], strict=True)
            )
            if 0 <= a < frames and 0 <= b < side and 0 <= c < side:
                out[t, h, w] += filters[:, i, j, k] * narrow[a, b, c]
    update = _linear(out.flatten(1, 2), block, f"{name}.fc2")
    return torch.cat([x[:, :1], x[:, 1:] + update], 1)


def _embed(state, config, clip):
    x = F.conv2d(clip.transpose(0, 1), state["conv1.weight"], stride=config["patch_size"])
    x = torch.cat([state["class_embedding"].expand(len(x), 1, -1), x.flatten(2).mT], 1)
    return x + state["positional_embedding"]


def _block(state, layer):
    prefix = f"transformer.resblocks.{layer}."
    return {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}


def _attend(x, block, config):
    """(length, D) -> (length, D)."""
    qkv = F.linear(x, block["attn.in_proj_weight"], block["attn.in_proj_bias"])
    query, key, value = (
        part.unflatten(-1, (config["heads"], -1)).transpose(0, 1) for part in qkv.chunk(3, -1)
    )
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    return _linear((weights @ value).transpose(0, 1).flatten(1), block, "attn.out_proj")


def _mlp(x, block):
    hidden = _linear(x, block, "mlp.c_fc")
    return _linear(hidden * torch.sigmoid(1.702 * hidden), block, "mlp.c_proj")


def _norm(x, state, name):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def _linear(x, state, name):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
