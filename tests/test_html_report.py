import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_records import record
from test_cost_cases import ZEROI2V, costs

from zeroi2v_bench.reports.html_report import flatten, html_page
from zeroi2v_bench.reports.markup import Markup, join, tag
from zeroi2v_bench.reports.published import table_names
from zeroi2v_bench.reports.tables import build_table

HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)> "'></td></svg>&amp;"""


class Elements(HTMLParser):
    """Every element and attribute that a browser would see."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    elements = Elements()
    elements.feed(page)
    return elements


def page_of(runs, measured=()):
    tables = [build_table(name, runs, measured) for name in table_names()]
    return html_page([t for t in tables if t.num_rows], runs, measured)


@pytest.fixture(scope="module")
def runs():
    few = [
        record(
            shots=k,
            seed=s,
            protocol=f"fewshot_digits_{k}shot",
            splits_fingerprint=str(s) * 64,
            **{"accuracy.top1": 40.0 + k + s},
        )
        for k in (4, 8)
        for s in (0, 1, 2)
    ]
    return [record(), record(method="linear_probe", module="linear_probe"), *few]


@pytest.fixture(scope="module")
def page(runs):
    return page_of(runs, [costs(*ZEROI2V)])


def test_the_page_loads_nothing_from_anywhere(page):
    elements = parsed(page)
    links = [v for _, name, v in elements.attributes if name in {"src", "href", "action", "data"}]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not {"link", "iframe", "object", "embed", "base", "img"} & set(elements.tags)
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_has_one_script_and_the_policy_names_its_hash(page):
    assert parsed(page).tags.count("script") == 1
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", page)


def test_every_paper_row_stands_on_the_page_with_its_source(page):
    text = " ".join(parsed(page).text)
    for row in ("ActionCLIP", "VideoPrompt", "MViTv2-L(312)", "Rc=1/6 HR KV (STDHA)"):
        assert row in text
    assert text.count("ZeroI2V arXiv v1 Table 3") == 20


def test_links_lead_to_elements_that_exist_and_ids_are_unique(page):
    elements = parsed(page)
    ids = [value for _, name, value in elements.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in elements.attributes if name == "href"}
    assert targets <= set(ids)


def test_a_hostile_record_stays_text():
    hostile = record(
        method=HOSTILE,
        decoder=HOSTILE,
        class_names=[HOSTILE, "b"],
        notes=[HOSTILE],
        **{"backbone.spec": HOSTILE, "environment.device": HOSTILE},
    )
    clean = parsed(page_of([record(method="a"), record(method="b")]))
    attacked = parsed(page_of([record(method="a"), hostile]))
    assert "img" not in attacked.tags
    assert attacked.tags.count("script") == 1
    assert not [name for _, name, _ in attacked.attributes if name.startswith("on")]
    assert any(HOSTILE in text for text in attacked.text)
    assert set(attacked.tags) == set(clean.tags)


def test_the_same_records_make_the_same_page(runs, page):
    assert page_of(runs, [costs(*ZEROI2V)]) == page


def test_published_marks_are_hollow_and_measured_ones_solid(page):
    assert 'class="mark published' in page
    assert 'class="mark measured' in page
    assert 'class="bar published' in page


def test_markup_escapes_text_and_attributes_but_not_markup():
    assert tag("b", "<&>", title='"') == '<b title="&quot;">&lt;&amp;&gt;</b>'
    assert tag("p", tag("i", "x"), None, hidden=True, id=None) == "<p hidden><i>x</i></p>"
    assert join("<", Markup("<br>")) == "&lt;<br>"


def test_flattened_values_keep_short_lists_and_count_long_ones():
    value = {"a": {"b": [1, 2]}, "c": list(range(50)), "d": None, "e": [{"f": 1}]}
    assert flatten(value) == [("a.b", "1, 2"), ("c", "50 values"), ("d", ""), ("e.0.f", "1")]


def test_one_column_of_each_table_stays_in_sight_and_names_the_row(page):
    tables = page.split("<table>")[1:]
    for table in tables:
        heads = re.findall(r"<th [^>]*>.*?</th>", table)
        [pinned] = [k for k, head in enumerate(heads) if 'pin"' in head]
        assert re.search("method|setting|higher", heads[pinned])
        for row in re.findall(r"<tr[^>]*>(<td.*?)</tr>", table):
            cells = re.findall(r"<td[^>]*>", row)
            assert [k for k, cell in enumerate(cells) if 'pin"' in cell] == [pinned]


def test_no_two_columns_of_a_table_have_one_title(runs):
    page = page_of(
        [*runs, record(shots=4, protocol="p_4shot", **{"fit.solver": "logistic_regression"})]
    )
    for table in page.split("<table>")[1:]:
        heads = re.findall(r"<button[^>]*>(.*?)</button>", table.partition("</thead>")[0])
        assert len(set(heads)) == len(heads)


PROBE = """<script>addEventListener("load", () => {
  const found = [document.documentElement.scrollWidth <= innerWidth ? "fits" : "too wide"];
  const head = document.querySelector("#table-table3_k400 th.number");
  head.querySelector("button").click();
  const column = [...head.closest("table").tBodies[0].rows].map((row) => row.cells[head.cellIndex]);
  const values = column.map((cell) => parseFloat(cell.textContent)).filter((v) => !isNaN(v));
  found.push(values.every((v, k) => !k || values[k - 1] <= v) ? "sorted" : "unsorted");
  const sorted = (texts) => {
    const body = `<tbody>${texts.map((text) => `<tr><td>${text}</td></tr>`).join("")}</tbody>`;
    const table = document.createElement("table");
    table.innerHTML = `<thead><tr><th></th></tr></thead>${body}`;
    sortBy(table.tHead.rows[0].cells[0]);
    return [...table.tBodies[0].rows].map((row) => row.textContent).join(" ");
  };
  found.push(sorted(["1c", "1a", "", "1b"]), sorted(["8x3x4", "32x1x1", "8x1x3"]));
  found.push(sorted(["1,000", "9.5", "9.25", "-3"]));
  const field = document.querySelector("#table-table3_k400 input.filter");
  field.value = "actionclip";
  field.dispatchEvent(new Event("input"));
  const left = [...head.closest("table").tBodies[0].rows].filter((row) => !row.hidden);
  found.push(`${left.length} left`);
  field.value = "";
  field.dispatchEvent(new Event("input"));
  document.querySelector("a.record").click();
  found.push(document.querySelector("dialog").open ? "shown" : "not shown");
  found.push(document.querySelector("dialog").scrollTop === 0 ? "from the top" : "scrolled");
  document.querySelector("dialog").close();
  document.title = found.join(", ");
});</script>"""


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium")
    return [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_fits_sorts_filters_and_shows_records_in_a_browser(page, browser, tmp_path, width):
    # The probe is no part of the page; without the policy it may run.
    probed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', lambda _: PROBE, page)
    path = tmp_path / "report.html"
    path.write_text(probed, encoding="utf-8")
    picture = Path(os.environ.get("ZEROI2V_BENCH_SCREENSHOTS", tmp_path)) / f"report_{width}.png"
    options = [f"--window-size={width},2400", f"--screenshot={picture}", "--dump-dom"]
    run = subprocess.run([*browser, *options, path.as_uri()], capture_output=True, check=True)
    title = re.search(rb"<title>(.*?)</title>", run.stdout)[1].decode()
    orders = "1a 1b 1c , 8x1x3 8x3x4 32x1x1, -3 9.25 9.5 1,000"
    assert title == f"fits, sorted, {orders}, 1 left, shown, from the top"
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_the_policy_lets_the_page_s_own_script_run_and_no_other(page, browser, tmp_path):
    foreign = "<script>document.title = 'foreign'</script></body>"
    path = tmp_path / "report.html"
    path.write_text(page.replace("</body>", foreign), encoding="utf-8")
    run = subprocess.run([*browser, "--dump-dom", path.as_uri()], capture_output=True, check=True)
    assert b"<title>ZeroI2V benchmark report</title>" in run.stdout
