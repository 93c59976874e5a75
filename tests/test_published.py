import csv
import re

import pytest

from zeroi2v_bench.errors import UnknownNameError
from zeroi2v_bench.reports.comparison import check_columns
from zeroi2v_bench.reports.published import (
    FOLDER,
    TableError,
    load_table,
    parse_published,
    table_names,
)

FILES = sorted(FOLDER.glob("*.csv"))
NUMBERS = [
    "shots",
    "frames",
    "crops",
    "clips",
    "num_views",
    "gflops",
    "extra_gflops",
    "params_m",
    "new_params_m",
    "tunable_params_m",
    "latency_ms",
    "throughput_vps",
    "top1",
    "top5",
]
DATASETS = {"kinetics400": "k400", "kinetics600": "k600", "kinetics700": "k700"}


def all_rows():
    return [
        row
        for path in FILES
        for row in parse_published(path.read_text(encoding="utf-8"), path.name)
    ]


def test_every_published_row_has_one_id_named_after_its_file_and_a_source():
    for path in FILES:
        for row in parse_published(path.read_text(encoding="utf-8"), path.name):
            assert re.fullmatch(rf"{path.stem}/[a-z0-9.-]+", row.id)
            assert row.cells["source"]


def test_every_filled_figure_is_a_number():
    for row in all_rows():
        for name in NUMBERS:
            assert row.cells.get(name, "") == "" or row.number(name) is not None, (row.id, name)


def test_published_gflops_are_frames_times_views_times_the_plain_image_network():
    """Less the method's own extra; 17.58 and 81.09 are one image in Table 3's first ViT rows."""
    misprinted = "table3_k400/x-clip-l14-8x3x4"
    per_image = {"ViT-B/16": 422 / 24, "ViT-L/14": 1946 / 24}
    checked = 0
    for row in all_rows():
        gflops, extra = row.number("gflops"), row.number("extra_gflops")
        if gflops is None or extra is None or row.id == misprinted:
            continue
        images = row.number("frames") * row.number("num_views")
        assert gflops - extra == pytest.approx(images * per_image[row.cells["backbone"]], rel=2e-3)
        checked += 1
    assert checked >= 20


def test_published_parameters_are_the_plain_network_and_what_is_new():
    misprinted = "table4_ssv2/full-fine-tuned-vit-l14-8x3x1"
    plain = {"ViT-B/16": 86, "ViT-L/14": 304}
    for row in all_rows():
        total, new = row.number("params_m"), row.number("new_params_m")
        if total is not None and new is not None and row.id != misprinted:
            assert total - new == pytest.approx(plain[row.cells["backbone"]], abs=1)


def as_recorded(row):
    shots = row.cells.get("shots")
    setting = {"full": "full", "zero-shot": "zeroshot", "few-shot": f"fewshot_{shots}"}
    cells = row.cells | {"protocol": setting[row.cells["setting"]]}
    cells["dataset"] = DATASETS.get(cells["dataset"], cells["dataset"])
    return cells


@pytest.mark.data
def test_published_rows_are_the_transcribed_ones(reference_data):
    with (reference_data / "facts/published.csv").open(encoding="utf-8", newline="") as file:
        facts = list(csv.DictReader(file))
    names = [*NUMBERS, "method", "backbone", "pretrain", "dataset", "protocol", "source"]
    names = [name for name in names if name in facts[0]]
    ours = sorted(
        tuple(as_recorded(row).get(name, "") for name in names)
        for row in all_rows()
        if "setting" in row.cells and not row.id.startswith("table1_")
    )
    assert ours == sorted(tuple(fact[name] for name in names) for fact in facts)


@pytest.mark.data
def test_ablation_rows_are_the_transcribed_ones(reference_data):
    with (reference_data / "facts/ablation.csv").open(encoding="utf-8", newline="") as file:
        facts = [tuple(fact.values()) for fact in csv.DictReader(file)]
    _, rows = load_table("table1_ablation")
    names = ("part", "backbone", "frames", "setting", "k", "rf", "top1")
    assert [tuple(row.cells[name] for name in names) for row in rows] == facts


@pytest.mark.parametrize("name", table_names())
def test_every_definition_names_existing_columns_and_footnotes_that_are_used(name):
    spec, rows = load_table(name)
    assert spec.title
    for note in spec.footnotes:
        for pattern in note.rows:
            alone = note.model_copy(update={"rows": (pattern,)})
            assert any(alone.concerns(row.id) for row in rows), pattern
    if spec.rows == "compared":
        check_columns(name, spec, rows)


def test_unknown_table_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="table3_k400"):
        load_table("table9")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,source,top1\n,x,1\n", "row 2 needs an id and a source"),
        ("id,source,top1\na,,1\n", "row 2 needs an id and a source"),
        ("id,source,top1\na,x,1\na,x,2\n", "row 3: id 'a' is given twice"),
        ("id,source,top1\na,x\n", "row 2 has not as many cells as the header"),
        ("id,source,top1\na,x,1,9\n", "row 2 has not as many cells as the header"),
    ],
)
def test_broken_published_rows_are_refused_by_line(text, problem):
    with pytest.raises(TableError, match=problem):
        parse_published(text, "mine.csv")


def test_unknown_key_of_a_definition_is_one_clear_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: Mine\ncolums: [method]\n")
    with pytest.raises(TableError) as caught:
        load_table(str(path))
    assert "\n" not in str(caught.value)
    assert "mine.yaml" in str(caught.value)
