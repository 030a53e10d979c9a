"""The count of what language models have, in a small package and in the real one."""

import pytest

from frugal.transfer import census

FEATURES = {"root": r"RMSNorm\(", "gate": r"gate_proj"}


@pytest.fixture
def folder(tmp_path):
    files = {
        "old/modeling_old.py": "# Copyright 2019 A\nclass OldForCausalLM(Old): ...",
        "new/modeling_new.py": (
            "# Copyright (c) 2024 B\nclass NewForCausalLM(New):\n    x = NewRMSNorm(1), gate_proj"
        ),
        "new/configuration_new.py": "# Copyright 2025 B\n",
        "seen/modeling_seen.py": "# Copyright 2024 C\nclass SeenForImages: ...",
        "undated/modeling_undated.py": "class UndatedForCausalLM: ...",
        "auto/__init__.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_language_models_with_a_year_are_families(folder):
    found = census.families(folder)
    assert [(one.name, one.year) for one in found] == [("new", 2025), ("old", 2019)]
    assert census.count(found, FEATURES) == {"root": 1, "gate": 1}


def test_the_installed_package_has_many_and_says_its_version():
    found = {one.name: one for one in census.families()}
    assert len(found) > 100
    assert census.source().startswith("transformers ")
    assert census.count([found["llama"]], FEATURES) == {"root": 1, "gate": 1}
    assert census.count([found["bart"]], FEATURES) == {"root": 0, "gate": 0}
