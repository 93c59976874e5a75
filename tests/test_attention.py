"""STDHA against a slow, obvious reference, and its laws."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroi2v_bench.nn.attention import Attention, head_offsets, plan_moves

WIDTH, HEADS, DIM = 24, 6, 4


def slow_attention(attention: Attention, tokens, num_frames: int, parts="kv", unit="head"):
    """One clip, one frame, one head at a time; sources looked up by index arithmetic."""
    q, k, v = attention.qkv(tokens).chunk(3, dim=-1)
    own = {"q": q, "k": k, "v": v}
    moved = {name: value.clone() for name, value in own.items()}
    for row in range(len(tokens)):
        clip, frame = divmod(row, num_frames)
        for head, offset in enumerate(attention.offsets):
            source = frame + offset
            if not 0 <= source < num_frames:
                continue
            for name in parts:
                for channel in channels_of(head, unit):
                    rows = slice(0, 1) if unit == "class_token" else slice(None)
                    moved[name][row, rows, channel] = own[name][
                        clip * num_frames + source, rows, channel
                    ]
    out = []
    for head in range(HEADS):
        part = slice(head * DIM, (head + 1) * DIM)
        scores = moved["q"][..., part] @ moved["k"][..., part].transpose(1, 2) / DIM**0.5
        out.append(scores.softmax(-1) @ moved["v"][..., part])
    return attention.proj(torch.cat(out, -1))


def channels_of(head: int, unit: str) -> list[int]:
    """Channels that the offset of one head moves: the head's own, or its share of every head's."""
    if unit == "head":
        return list(range(head * DIM, (head + 1) * DIM))
    share = range(head * DIM // HEADS, (head + 1) * DIM // HEADS)
    return [other * DIM + channel for other in range(HEADS) for channel in share]


@settings(max_examples=40, deadline=None)
@given(
    offsets=st.lists(st.integers(-4, 4), min_size=HEADS, max_size=HEADS),
    num_frames=st.integers(1, 5),
    parts=st.sampled_from(["kv", "k", "v", "q", "qk", "qkv"]),
    unit=st.sampled_from(["head", "channel", "class_token"]),
)
def test_attention_equals_the_slow_reference(offsets, num_frames, parts, unit):
    torch.manual_seed(0)
    attention = Attention(WIDTH, HEADS).double()
    attention.set_offsets(tuple(offsets), parts=parts, unit=unit)
    tokens = torch.randn(2 * num_frames, 3, WIDTH, dtype=torch.float64, requires_grad=True)
    expected = slow_attention(attention, tokens, num_frames, parts, unit)
    got = attention(tokens, num_frames)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    for wanted in (tokens, attention.qkv.weight):
        gradients = (torch.autograd.grad(y.square().sum(), wanted, retain_graph=True)
                     for y in (got, expected))  # fmt: skip
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


def test_gradients_through_the_relocation_equal_finite_differences():
    torch.manual_seed(0)
    attention = Attention(WIDTH, HEADS).double()
    attention.set_offsets((-1, 1, 2, -2, 0, 0))
    tokens = torch.randn(4, 2, WIDTH, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: attention(x, 4), tokens)


def test_without_offsets_it_is_the_image_model_on_every_frame():
    attention = Attention(WIDTH, HEADS)
    tokens = torch.randn(6, 5, WIDTH)
    single = torch.cat([attention(frame[None], 1) for frame in tokens])
    torch.testing.assert_close(attention(tokens, 3), single)


def test_clips_of_a_batch_do_not_see_each_other():
    attention = Attention(WIDTH, HEADS)
    attention.set_offsets((-1, 1, -2, 2, 0, 0))
    first, second = torch.randn(2, 4, 5, WIDTH)
    alone = attention(first, 4)
    torch.testing.assert_close(attention(torch.cat([first, second]), 4)[:4], alone)


def test_reversing_frames_and_offsets_reverses_the_output():
    attention = Attention(WIDTH, HEADS)
    tokens = torch.randn(4, 5, WIDTH)
    attention.set_offsets((-1, 1, 1, 2, 0, 0))
    forward = attention(tokens, 4)
    attention.set_offsets((1, -1, -1, -2, 0, 0))
    torch.testing.assert_close(attention(tokens.flip(0), 4), forward.flip(0))


def test_paper_notation_counts_heads_in_order():
    assert head_offsets({-1: 2, 1: 2, -2: 1}, 8) == (-1, -1, 1, 1, -2, 0, 0, 0)
    with pytest.raises(ValueError, match="do not fit into 3 heads"):
        head_offsets({-1: 2, 1: 2}, 3)


def test_only_the_moved_heads_are_copied():
    moves = plan_moves((-1, -1, 1, 0, 0, 0), DIM)
    assert [(m.offset, m.heads, m.parts) for m in moves] == [
        (-1, slice(0, 2), slice(1, 3)),
        (1, slice(2, 3), slice(1, 3)),
    ]
