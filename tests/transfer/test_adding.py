"""A modification takes one file and one line, as CONTRIBUTING shows it."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import torch

from frugal import transfer
from frugal.transfer.counting import count
from frugal.transfer.table import ROWS

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_example_of_the_page_works(monkeypatch):
    code, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    known = {"squared_relu": SimpleNamespace(**names), "Row": transfer.Row}
    for name, row in eval("{" + line + "}", known).items():
        monkeypatch.setitem(ROWS, name, row)
    assert transfer.names()[-1] == "Squared ReLU"
    model = transfer.build("Squared ReLU", size="book")
    network = model.encoder.stack.layers[0].residuals[1].sublayer.network
    x = torch.randn(2, 3, 48)
    torch.testing.assert_close(network(x), network.outer(network.inner(x).relu() ** 2))
    found = count("Squared ReLU", size="book")
    assert found.parameters_ratio == 1
    assert math.isnan(found.paper_parameters)
