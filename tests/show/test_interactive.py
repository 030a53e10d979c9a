"""`Interactive`: its state, its three renderings, and the embedding of modules."""

from __future__ import annotations

import importlib.util
import json
import sys
from base64 import b64decode
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from anywidget import AnyWidget
from ipywidgets import Widget

from frugal.show.charts import Chart
from frugal.show.interactive import Interactive
from frugal.show.modules import bundle, embedded

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
FIGURES = Path(__file__).with_name("figures")


@pytest.fixture(scope="module")
def lever() -> ModuleType:
    specification = importlib.util.spec_from_file_location("lever", FIGURES / "lever.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["lever"] = module
    specification.loader.exec_module(module)
    return module


def test_live_bundle_is_a_widget_and_a_picture(lever, monkeypatch) -> None:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)
    figure = lever.Lever(turn=4)
    data, metadata = figure._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert data[WIDGET_VIEW]["model_id"] == figure.widget().model_id
    assert b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "A lever and its square."


def test_site_bundle_is_html_and_a_picture(lever, monkeypatch) -> None:
    monkeypatch.setenv("FRUGAL_SITE", "1")
    data, _ = lever.Lever(turn=4)._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", "text/html"}
    assert "widget-view" not in data["text/html"]
    assert "http://" not in data["text/html"].replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in data["text/html"]
    assert 'aria-label="A lever and its square."' in data["text/html"]


def test_html_holds_the_state_and_cannot_be_broken_out_of(lever) -> None:
    html = lever.Lever(alt='Say "</div>" & more', note="</script><!--").to_html()
    state = html.partition('<script type="application/json">')[2].partition("</script>")[0]
    assert json.loads(state)["note"] == "</script><!--"
    assert "Say &quot;&lt;/div&gt;&quot; &amp; more" in html


@pytest.mark.usefixtures("unchecked")
def test_a_guided_figure_holds_its_question_and_leads_to_states_it_has(lever) -> None:
    figure = lever.Lever(turn=4)
    assert figure.guided("How far?", ("Back to 0", {"turn": 0})) is figure
    steps = [{"words": "Back to 0", "state": {"turn": 0}}]
    assert figure.state["guide"] == {"question": "How far?", "tries": steps}
    with pytest.raises(ValueError, match=r"tries has 'trun' \('x'\)"):
        figure.guided("How far?", ("x", {"trun": 0}))
    for wrong in ("words", ("words",), ("words", 3), (3, {"turn": 3})):
        with pytest.raises(ValueError, match=r"^tries has .*; each must be words and a dict"):
            figure.guided("How far?", wrong)
    with pytest.raises(ValueError, match="tries is empty"):
        figure.guided("How far?")


def test_widget_is_one_and_its_traits_are_the_state(lever) -> None:
    figure = lever.Lever(turn=4)
    widget = figure.widget()
    assert widget is figure.widget()
    assert (widget.turn, widget.unit, widget.alt) == (4, "cm", figure.alt)
    assert {"turn", "unit", "way", "signed", "alt"} <= set(widget.get_state())
    seen: list[int] = []
    widget.observe(lambda change: seen.append(change["new"]), "turn")
    widget.set_state({"turn": 7})  # what the page sends when the reader moves the slider
    assert seen == [7]
    assert ".lever" in widget._css
    assert "--frugal-ink" in widget._css


@pytest.mark.parametrize("close", [Widget.close_all, lambda: None], ids=["all", "this"])
def test_a_closed_widget_is_followed_by_a_new_one_where_it_stood(lever, monkeypatch, close) -> None:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)
    figure = lever.Lever(turn=4)
    first = figure.widget()
    first.turn = 6
    first.close()
    close()
    data, _ = figure._repr_mimebundle_()
    second = figure.widget()
    assert second is not first
    assert second is figure.widget()
    assert data[WIDGET_VIEW]["model_id"] == second.model_id
    assert (second.turn, second.unit, second.alt) == (6, "cm", figure.alt)


def test_a_closed_chart_is_followed_by_a_new_one(monkeypatch) -> None:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)
    spec = {"data": {"values": [{"x": 1}]}, "mark": "point", "encoding": {"x": {"field": "x"}}}
    figure = Chart(spec, alt="One point.")
    first = figure.widget()
    Widget.close_all()
    data, _ = figure._repr_mimebundle_()
    assert data[WIDGET_VIEW]["model_id"] == figure.widget().model_id
    assert figure.widget() is not first


@pytest.mark.parametrize("name", [one for one in dir(AnyWidget) if not one.startswith("_")])
def test_names_that_mean_something_to_a_widget_are_refused(lever, name) -> None:
    with pytest.raises(ValueError, match=f"state has '{name}'; it must have names that no widget"):
        lever.Lever(**{name: 1})


def test_widgets_of_two_figures_do_not_share_state(lever) -> None:
    one, other = lever.Lever(turn=1), lever.Lever(turn=2)
    one.widget().turn = 9
    assert other.widget().turn == 2


def test_arrays_and_tensors_become_lists(lever) -> None:
    state = lever.Lever(
        tensor=torch.arange(3), array=np.eye(2, dtype=np.float32), number=np.float64(0.5)
    ).state
    assert state["tensor"] == [0, 1, 2]
    assert state["array"] == [[1.0, 0.0], [0.0, 1.0]]
    assert json.loads(json.dumps(state))["number"] == 0.5


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"deep": {"list": [1, float("nan")]}}, r"nan at deep\.list\[1\]"),
        ({"tensor": torch.tensor([float("inf")])}, r"inf at tensor\[0\]"),
        ({"things": {1: "one"}}, "key 1 at things"),
        ({"thing": object()}, "object at thing"),
        ({"_private": 1}, "'_private'; it must have names that no widget keeps"),
        ({"layout": 1}, "'layout'; it must have names that no widget keeps"),
        ({"two words": 1}, "'two words'; it must have names"),
    ],
)
def test_state_that_json_cannot_hold_is_refused(lever, state, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        lever.Lever(**state)
    assert str(caught.value).count(".") - message.count(r"\.") == 1, "one sentence"


def test_empty_alt_is_refused(lever) -> None:
    with pytest.raises(ValueError, match="alt is '  '; it must be a sentence"):
        lever.Lever(alt="  ")


def test_a_figure_needs_a_picture() -> None:
    class Bare(Interactive):
        module = "figures/lever.js"

    with pytest.raises(TypeError, match="picture"):
        Bare(alt="Nothing.")


def test_bundle_embeds_imports_and_exports(tmp_path) -> None:
    (tmp_path / "deep.js").write_text("export const two = 2;\nexport function twice(x) {}\n")
    (tmp_path / "middle.js").write_text(
        'import { two as deux } from "./deep.js";\nconst three = deux + 1;\n'
        "export { three, deux as two };\nexport default class {}\n"
    )
    (tmp_path / "top.js").write_text(
        'import {\n  three,\n  two,\n} from "./middle.js";\nexport default { sum: three + two };\n'
    )
    code = bundle(tmp_path / "top.js")
    assert "const { three, two, } = module1;" in code
    assert "const { two: deux } = module0;" in code
    assert "return { three, two: deux, default: default_ };" in code
    assert "\nimport" not in code
    assert "\nexport" not in code


def test_a_module_that_two_others_import_is_embedded_once(tmp_path) -> None:
    (tmp_path / "deep.js").write_text("export const counted = [];\n")
    for name in ("left", "right"):
        source = f'import {{ counted }} from "./deep.js";\nexport const {name} = counted;\n'
        (tmp_path / f"{name}.js").write_text(source)
    (tmp_path / "top.js").write_text(
        'import { left } from "./left.js";\nimport { right } from "../here/right.js";\n'
        "export default left === right;\n".replace("../here", f"../{tmp_path.name}")
    )
    code = bundle(tmp_path / "top.js")
    assert code.count("counted = []") == 1
    assert embedded(tmp_path / "top.js") == set(tmp_path.glob("*.js"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('import far from "https://far.example/x.js";', "a form of import or export"),
        ('import * as all from "./other.js";', "a form of import or export"),
        ('export * from "./other.js";', "a form of import or export"),
        ('import { x } from "./missing.js";', r"missing\.js, which is not a file"),
        ('import { x } from "./odd.js";', r"odd\.js imports itself"),
    ],
)
def test_bundle_refuses_what_it_cannot_embed(tmp_path, source, message) -> None:
    (tmp_path / "odd.js").write_text(source + "\nexport default {};\n")
    with pytest.raises(ValueError, match=message):
        bundle(tmp_path / "odd.js")
