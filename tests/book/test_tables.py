"""Tables of results: columns of many words have room."""

from __future__ import annotations

from booktools.tables import marked, unbroken

TABLE = (
    "<table><thead><tr><th>layer</th><th>share</th><th>kept</th></tr></thead>"
    '<tbody><tr><th>a name of many, many words</th><td>0.50</td><td class="data">any</td></tr>'
    "<tr><th>window</th><td>0.48 (0.46 … 0.51)</td><td>the latest keys and values</td></tr>"
    "</tbody></table>"
)


def test_a_column_of_words_is_marked_from_its_head_to_its_end():
    html = marked(TABLE)
    assert '<th class="frugal-words">kept</th>' in html
    assert '<td class="frugal-words data">any</td>' in html
    assert '<td class="frugal-words">the latest keys and values</td>' in html
    assert html.count("frugal-words") == 3  # numbers are no words, and a row's name stands first


def test_tables_of_numbers_and_of_joined_cells_stay_as_they_are():
    numbers = TABLE.replace("the latest keys and values", "12")
    joined = TABLE.replace("<th>kept", '<th colspan="1">kept')
    assert [marked(numbers), marked(joined)] == [numbers, joined]


def test_a_number_and_its_spread_stay_on_one_line():
    html = "<td>0.952 ± 0.008</td><p>4% ± 1%, after ± a number</p>"
    assert unbroken(html) == "<td>0.952\xa0±\xa00.008</td><p>4%\xa0±\xa01%, after ± a number</p>"
    script = '<script>{"text": "2 ± 1"}</script>'
    assert unbroken(script) == script
