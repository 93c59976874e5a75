import pytest
from synthetic_records import record

from zeroi2v_bench.reports.measured import ANY, Group, architecture, group_runs, selection_rule
from zeroi2v_bench.reports.published import TableError, load_table
from zeroi2v_bench.reports.tables import build_table

K400 = {
    "protocol": "full_k400_8f",
    "dataset": "kinetics400",
    "views": "8x1x3",
    "backbone.spec": "openclip:ViT-B-16-quickgelu/openai",
    "accuracy.top1": 80.0,
}
FIRST_ROW = "table3_k400/zeroi2v-b16-8x1x3"

MINE = """
title: Mine
published: mine.csv
columns: [method, published.top1, measured.top1, difference.top1]
"""
PUBLISHED = """id,source,method,runs_as,backbone,dataset,setting,frames,crops,clips,top1
mine/a,A paper,Theirs,zeroi2v,digits,moving_digits,full,8,1,1,80.0
"""


def row_of(table, method="ZeroI2V", views="8x1x3"):
    frame = table.frame
    (found,) = frame[(frame["method"] == method) & (frame["views"] == views)].to_dict("records")[:1]
    return found


def test_a_measured_run_stands_beside_its_published_row():
    table = build_table("table3_k400", [record(**K400)])
    row = row_of(table)
    assert row["published.top1"] == "83.0"
    assert row["measured.top1"] == 80.0
    assert row["difference.top1"] == pytest.approx(-3.0)
    assert row["difference.gflops"] == pytest.approx(100 * (421.5 - 422) / 422)
    assert row["measured.coverage"] == "400/400"
    assert row["measured.protocol"] == "full_k400_8f v1 #aaaaaaaa"
    assert table.num_measured == 1


def test_a_row_on_its_own_backbone_is_the_method_it_is_named_after():
    spec = "openclip:ViT-L-14-quickgelu/openai"
    table = build_table(
        "table3_k400", [record(**K400 | {"backbone.spec": spec}, method="zeroi2v_l14")]
    )
    measured = table.frame[table.frame["measured.top1"].notna()]
    assert list(measured["backbone"]) == ["ViT-L/14"]
    assert list(measured["published.top1"]) == ["86.3"]


def test_a_run_with_overrides_has_no_accuracy_difference():
    changed = K400 | {"protocol": "full_k400_8f+splits.train_list=mine.txt"}
    row = row_of(build_table("table3_k400", [record(**changed)]))
    assert row["measured.top1"] == 80.0
    assert row["measured.backbone"] == K400["backbone.spec"]
    assert "difference.gflops" in row
    assert "difference.top1" not in row


@pytest.mark.parametrize(
    ("pretrain", "gap"), [("CLIP", -3.0), (ANY, -3.0), ("laion2b", None)], ids=str
)
def test_accuracies_of_other_pretraining_are_not_subtracted(monkeypatch, pretrain, gap):
    facts = Group.facts
    monkeypatch.setattr(Group, "facts", lambda g: facts(g) | {"pretrain": pretrain})
    row = row_of(build_table("table3_k400", [record(**K400)]))
    assert row.get("difference.top1") == gap


def test_accuracy_on_random_weights_is_never_shown_but_its_cost_is():
    table = build_table("table3_k400", [record(**K400, **{"backbone.random_weights": True})])
    row = row_of(table)
    assert "measured.top1" not in table.frame
    assert row["measured.gflops"] == 421.5
    assert row["measured.weights"] == "random"


@pytest.mark.parametrize(
    "change",
    [
        {"protocol_version": 2},
        {"protocol_hash": "e" * 64},
        {"params": {"adapter_scale": 1.0}},
        {"class_names_hash": "e" * 64},
        {"backbone.weights_hash": "e" * 64},
        {"splits_fingerprint": "e" * 64},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_never_pooled(change):
    groups, _ = group_runs([record(), record(seed=1), record(seed=2, **change)])
    assert sorted(len(group.runs) for group in groups) == [1, 2]


def test_few_shot_draws_of_different_seeds_are_pooled():
    runs = [record(shots=2, seed=s, splits_fingerprint=str(s) * 64) for s in (0, 1, 2)]
    (group,), lines = group_runs(runs)
    assert len(group.runs) == 3
    assert not lines


def test_of_one_seed_recorded_twice_the_newer_is_used_and_it_is_said():
    old, new = record(key="1"), record(key="2", run_id="new", created="2026-03-01T00:00:00Z")
    (group,), lines = group_runs([new, old])
    assert group.runs == (new,)
    assert "new: newer than" in lines[0]


def test_rows_of_two_protocol_versions_stay_two_rows():
    table = build_table("table3_k400", [record(**K400), record(**K400, protocol_version=2)])
    shown = table.frame["measured.protocol"].dropna()
    assert [" v2 " in text for text in shown] == [False, True]


def test_few_shot_rows_carry_mean_deviation_and_interval_over_seeds():
    tops = (50.0, 52.0, 54.0)
    runs = [
        record(shots=2, seed=s, dataset="hmdb51", **{"accuracy.top1": top})
        for s, top in enumerate(tops)
    ]
    frame = build_table("fewshot", runs).frame
    (row,) = frame[frame["source"] == "measured here"].to_dict("records")
    assert row["measured.top1"] == 52.0
    assert row["measured.sd"] == pytest.approx(2.0)
    assert row["measured.interval"] == "47.0 to 57.0"
    assert row["measured.seeds"] == 3


def test_a_row_says_how_its_epoch_was_chosen():
    chosen = {"chosen_epoch": 3, "holdout_top1": [10.0, 20.0, 30.0]}
    runs = (record(), record(**{"fit.details": chosen}), record(**{"fit.solver": "none"}))
    assert [selection_rule(run) for run in runs] == [
        "last epoch",
        "best epoch on held-out training clips",
        "nothing trained",
    ]


def test_an_interval_of_accuracies_ends_at_100_per_cent():
    tops = (94.0, 96.0, 99.5)
    (group,), _ = group_runs(
        [record(seed=s, **{"accuracy.top1": top}) for s, top in enumerate(tops)]
    )
    low, high = group.interval()
    assert high == 100.0
    assert low < 94.0


def test_a_user_adds_a_table_by_two_files(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "mine.csv").write_text(PUBLISHED)
    (row,) = build_table(str(tmp_path / "mine.yaml"), [record()]).frame.to_dict("records")
    assert row["method"] == "Theirs"
    assert row["difference.top1"] == pytest.approx(7.25)


def test_an_unknown_column_is_one_line_that_lists_the_known(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE.replace("measured.top1", "measured.topp1"))
    (tmp_path / "mine.csv").write_text(PUBLISHED)
    with pytest.raises(
        TableError, match=r"unknown column 'measured.topp1'; known: .*measured.top1"
    ):
        build_table(str(tmp_path / "mine.yaml"), [record()])


@pytest.mark.parametrize("name", ["table3_k400", "table4_ssv2"])
def test_every_row_of_zeroi2v_in_a_paper_table_is_reproduced(name):
    spec, published = load_table(name)
    rows = [row for row in published if row.cells["runs_as"] == "zeroi2v"]
    assert sum(len(step.methods) for step in spec.reproduce.run) == len(rows)


def test_the_known_faults_of_peers_stand_at_all_their_rows():
    table = build_table("peers", [])
    names = zip(table.frame["dataset"], table.frame["method"], table.frame["views"], strict=True)
    notes = dict(zip(names, table.marks, strict=True))
    for method in ("X-CLIP", "ViFi-CLIP", "CLIP image-FT", "CLIP text-FT"):
        (mark,) = notes["hmdb51", method, "32"]
        assert "swap kick with kick_ball" in table.footnotes[mark - 1]
        assert not notes["ucf101", method, "32"]
    assert notes["hmdb51", "TC-CLIP", "16x1x2"] == (mark,)
    assert not notes["hmdb51", "TC-CLIP (LLM names)", "16x1x2"]
    long = [note for note in table.footnotes if note.startswith("11208")]
    assert len(long) == 1


@pytest.mark.parametrize("runs_with", ["{", "[1]"])
def test_parameters_of_a_published_row_that_are_no_object_are_one_line(tmp_path, runs_with):
    (tmp_path / "mine.yaml").write_text(MINE)
    header, row = PUBLISHED.splitlines()
    (tmp_path / "mine.csv").write_text(f"{header},runs_with\n{row},{runs_with}\n")
    with pytest.raises(TableError, match=r"mine.csv: row 2: runs_with"):
        build_table(str(tmp_path / "mine.yaml"), [record()])


def test_footnotes_are_numbered_in_their_order_and_only_where_they_apply():
    table = build_table("table3_k400", [])
    marks = dict(zip(table.frame["method"], table.marks, strict=True))
    assert marks["UniFormer-B"] == ()
    assert "7896 less" in table.footnotes[marks["X-CLIP"][0] - 1]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("openclip:ViT-B-16-quickgelu/openai", "ViT-B/16"),
        ("openclip:ViT-L-14-336/openai", "ViT-L/14@336"),
        ("timm:vit_base_patch16_clip_224.openai", "ViT-B/16"),
        ("timm:vit_large_patch14_clip_336", "ViT-L/14@336"),
        ("digits", "digits"),
    ],
)
def test_backbones_are_named_as_in_papers(spec, name):
    assert architecture(spec) == name
