"""The parts of a Rasa project: its YAML, and an example with its entities."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError, InvalidInput
from services.customer_service.importers.rasa import project as project_module
from services.customer_service.importers.rasa.examples import Entity, parse_example
from services.customer_service.importers.rasa.loading import load_yaml
from services.customer_service.importers.rasa.project import read_project


def test_words_mean_what_they_mean_to_rasa() -> None:
    assert load_yaml("[yes, No, on, 9:30, 007, 2020-01-01, 3.1, -5, true, ~]") == [
        *("yes", "No", "on", "9:30", "007", "2020-01-01", 3.1, -5, True, None)
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: [", "line 2: not valid YAML"),
        ("a: &x [1]\nb: *x", r"line 2: .*an alias"),
        ("a: 1\nb: 2\na: 3", "line 3: .*the key 'a' stands twice"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("[" * 100_000, "line 1: .*nested deeper than 50"),
        ("a: !!int x", "not valid YAML"),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_yaml_that_is_broken_or_hostile_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load_yaml(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_yaml(text)
    except InvalidInput as error:
        assert "not valid YAML" in str(error)


@pytest.mark.parametrize(
    ("marked", "entity"),
    [
        ("to [Rome](city)", Entity(3, 7, "city", "Rome")),
        ("to [Rome](city:ROM)", Entity(3, 7, "city", "ROM")),
        ('to [Rome]{"entity": "city"}', Entity(3, 7, "city", "Rome")),
        (
            'to [Rome]{"entity": "city", "value": "ROM", "role": "to", "group": "1"}',
            Entity(3, 7, "city", "ROM", "to", "1"),
        ),
        ('to [Rome][{"entity": "city"}, {"entity": "capital"}]', Entity(3, 7, "city", "Rome")),
        ('to  [Rome]{"entity": "city", "value": 7}', Entity(3, 7, "city", "7")),
    ],
)
def test_an_example_is_read_in_each_form_of_its_marks(marked: str, entity: Entity) -> None:
    example = parse_example(marked)
    assert example.text == "to Rome"
    assert example.entities == (entity,)
    assert example.nested == ("capital" in marked)


def test_a_role_is_part_of_the_label() -> None:
    assert Entity(0, 1, "city", "x", "from").label == "city.from"


def test_brackets_without_a_mark_are_text() -> None:
    assert parse_example("see [1] (or 2)").text == "see [1] (or 2)"


@pytest.mark.parametrize(
    "marked",
    [
        "to [Rome](city",
        "to [Rome]{city}",
        'to [Rome]{"entity": ["city"]}',
        'to [Rome]{"value": "x"}',
        'to [Rome]{"entity": "city", "colour": "x"}',
        "[ ](city)",
        "",
    ],
)
def test_a_mark_that_cannot_be_read_refuses_the_example(marked: str) -> None:
    with pytest.raises(InvalidInput):
        parse_example(marked)


@given(st.text(alphabet='[](){}":,ab ', max_size=60))
def test_spans_hold_the_words_that_were_marked(marked: str) -> None:
    try:
        example = parse_example(marked)
    except InvalidInput:
        return
    for each in example.entities:
        assert f"[{example.text[each.start : each.end]}]" in " ".join(marked.split())


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def test_one_bad_file_does_not_keep_out_the_others(tmp_path: Path) -> None:
    write(tmp_path, nlu="nlu: [{intent: a}]", broken="nlu: [\n- {", other="services: {}", none="")
    (tmp_path / "latin.yml").write_bytes(b"nlu: [caf\xe9]")
    (tmp_path / "nlu.md").write_text("## intent:greet\n- hi", encoding="utf-8")
    project = read_project(tmp_path)
    assert [entry.said for entry in project["nlu"]] == [{"intent": "a"}]
    told = dict(project.left_out)
    assert set(told) == {"broken.yml", "other.yml", "none.yml", "latin.yml", "nlu.md"}
    assert told["broken.yml"].startswith("line 2: not valid YAML")
    assert "Rasa 1" in told["nlu.md"]


def test_a_section_of_the_wrong_kind_is_told(tmp_path: Path) -> None:
    write(tmp_path, a="nlu: {a: b}\nresponses: text\nstories:\nrules: [{rule: x}]\nfoo: 1")
    project = read_project(tmp_path)
    assert not project["nlu"]
    assert not project["responses"]
    told = dict(project.left_out)
    assert told["a.yml: nlu"] == "expected a list, found dict"
    assert told["a.yml: responses"] == "expected entries by name, found str"
    assert "a.yml: foo" in told


def test_links_that_lead_out_and_hidden_folders_are_not_read(tmp_path: Path) -> None:
    outside = write(tmp_path, secret="nlu: [{intent: secret}]") / "secret.yml"
    inside = tmp_path / "project"
    (inside / ".rasa").mkdir(parents=True)
    write(inside, nlu="nlu: [{intent: a}]")
    write(inside / ".rasa", nlu="nlu: [{intent: hidden}]")
    (inside / "link.yml").symlink_to(outside)
    project = read_project(inside)
    assert [entry.said["intent"] for entry in project["nlu"]] == ["a"]
    assert project.left_out == [("link.yml", "a link that leads out of the folder")]


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path, compose="services: {}")
    with pytest.raises(DataError, match=r"compose\.yml: no section of a Rasa project"):
        read_project(tmp_path)


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a="nlu: [{intent: a}, {intent: b}]", b="nlu: [{intent: c}]")
    monkeypatch.setattr(project_module, "_MAX_BYTES", 20)
    assert dict(read_project(tmp_path).left_out)["a.yml"].startswith("larger than 20 bytes")
    monkeypatch.undo()
    monkeypatch.setattr(project_module, "_MAX_TOTAL", 40)
    with pytest.raises(DataError, match="more than 40 bytes"):
        read_project(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(project_module, "_MAX_ENTRIES", 2)
    with pytest.raises(DataError, match="more than 2 entries"):
        read_project(tmp_path)
