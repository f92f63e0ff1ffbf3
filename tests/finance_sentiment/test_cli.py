"""Do the commands keep the contract: columns, keys, exit status, one line for an error?"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.errors import TrefoilError
from services.finance_sentiment import promise
from services.finance_sentiment.cli import group
from tests.finance_sentiment.test_alerts import history

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TREFOIL_FINANCE_SENTIMENT_THREADS", "1")


def stories_csv(path: Path) -> Path:
    counts = history(weeks=2, surge_at=300)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["published_at", "topic", "sentiment", "story_id"])
        for row, topic in enumerate(counts.topics):
            for hour, (n, k) in enumerate(
                zip(counts.stories[row].tolist(), counts.negative[row].tolist(), strict=True)
            ):
                for number in range(n):
                    sentiment = "negative" if number < k else "neutral"
                    seconds = (counts.first_hour + hour) * 3600
                    writer.writerow([seconds, topic, sentiment, f"{topic}-{hour}-{number}"])
    return path


def test_importing_the_commands_loads_click_only() -> None:
    code = (
        "import sys, services.finance_sentiment.cli; "
        "heavy = {'numpy', 'sqlalchemy', 'fastapi', 'pydantic', 'torch', 'yaml', 'onnxruntime'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_key_is_made_for_scopes_that_endpoints_ask_for_and_for_no_others() -> None:
    wrong = run("keys", "create", "shop", "--scope", "alert")
    assert wrong.exit_code == 2
    assert "'read', 'alerts', 'labels', 'sources', 'stories', '*'" in wrong.output
    code = "".join(
        path.read_text() for path in Path(ROOT, "services/finance_sentiment").glob("*.py")
    )
    for scope in {"*", *re.findall(r'requires\("(\w+)"\)', code)}:
        assert run("keys", "create", f"for-{scope}", "--scope", scope).exit_code == 0


def test_every_command_shows_an_example() -> None:
    for name in ("train", "evaluate", "predict", "backtest", "import", "replay"):
        assert "Example: trefoil" in " ".join(run(name, "--help").output.split())


def test_train_writes_a_model_that_evaluate_measures(
    model: Path, news_csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    result = run("evaluate", "--model", model, "--data", news_csv, "--json", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    for head in ("sentiment", "topic"):
        for metric in ("accuracy", "macro_f1", "weighted_f1", "ece"):
            low, high = figures[head][f"{metric}_ci"]
            assert 0 <= low <= high <= 1
            assert 0 <= figures[head][metric] <= 1
        assert figures[head]["slices"]["language"]["en"]["rows"] == 60
    assert figures["sentiment"]["accuracy"] > 0.8


def test_a_head_that_data_or_model_lack_is_absent_or_null(
    news_csv: Path, base_model: Path, tmp_path: Path
) -> None:
    rows = list(csv.DictReader(news_csv.open()))
    only = tmp_path / "only.csv"
    with only.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "sentiment"])
        writer.writerows([r["text"], r["sentiment"]] for r in rows)
    output, out = tmp_path / "model", tmp_path / "o.json"
    options = ("--preset", "fast", "--base-model", base_model)
    result = run("train", "--data", only, "--output", output, *options)
    assert result.exit_code == 0, result.output
    assert run("evaluate", "--model", output, "--data", news_csv, "--json", out).exit_code == 0
    figures = json.loads(out.read_text())
    assert figures["topic"]["accuracy"] is figures["topic"]["ece_ci"] is None
    assert run("evaluate", "--model", output, "--data", only, "--json", out).exit_code == 0
    assert "topic" not in json.loads(out.read_text())


@pytest.mark.parametrize("keep", [False, True])
def test_personal_data_is_replaced_before_training_unless_it_is_to_be_kept(
    keep: bool, news_csv: Path, base_model: Path, tmp_path: Path
) -> None:
    data, output = tmp_path / "news.csv", tmp_path / "model"
    first = next(csv.DictReader(news_csv.open(encoding="utf-8")))["text"]
    news = news_csv.read_text(encoding="utf-8")
    data.write_text(news.replace(first, f"{first} ask mary.lee@example.com", 1), encoding="utf-8")
    options = ("--preset", "fast", "--base-model", base_model)
    asked = ("--keep-personal-data",) if keep else ()
    result = run("train", "--data", data, "--output", output, *options, *asked)
    assert ("personal data replaced before training: 1 email" in result.output) is not keep
    assert json.loads((output / "manifest.json").read_text())["settings"]["redacted"] is not keep


def test_a_label_the_model_never_saw_counts_as_wrong(model: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "d.csv", tmp_path / "o.json"
    data.write_text("text,topic\nbank oslo hit by losses,weather\noil falls in oslo,weather\n")
    assert run("evaluate", "--model", model, "--data", data, "--json", out).exit_code == 0
    assert json.loads(out.read_text())["topic"]["accuracy"] == 0


def test_predict_writes_the_columns_in_order(model: Path, tmp_path: Path) -> None:
    texts, out = tmp_path / "t.csv", tmp_path / "o.csv"
    texts.write_text('text,other\n"bank oslo hit by losses, as bad loans rise",1\n净利润,2\n')
    assert run("predict", "--model", model, "--input", texts, "--output", out).exit_code == 0
    first, second = csv.DictReader(out.open(encoding="utf-8"))
    columns = ["text", "sentiment", "p_negative", "p_neutral", "p_positive", "topic", "p_topic"]
    assert list(first) == columns
    assert first["text"] == "bank oslo hit by losses, as bad loans rise"
    assert first["sentiment"] in ("negative", "neutral", "positive")
    # Not readable: no label, and what it would have been is there to see.
    assert (second["sentiment"], second["topic"]) == ("", "")
    assert 0 < float(second["p_neutral"]) < 1


def test_backtest_finds_the_surge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 16)
    stories, out = stories_csv(tmp_path / "s.csv"), tmp_path / "o.json"
    rules = tmp_path / "r.yaml"
    rules.write_text("- {name: half, negative_share: 0.5, min_stories: 30, window_hours: 12}\n")
    result = run("backtest", "--stories", stories, "--rules", rules, "--json", out)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert found["promised_false_alarms_per_week"] == 1
    assert found["weeks"] == pytest.approx(2, abs=0.1)
    detectors = {alert["detector"] for alert in found["alerts"] if alert["topic"] == "b"}
    assert detectors == {"beta_binomial_cusum", "rule:half"}
    for alert in found["alerts"]:
        assert set(alert) == {
            "topic", "started_at", "resolved_at", "detector", "evidence", "story_ids",
        }  # fmt: skip
        assert alert["story_ids"] and all(i.startswith(alert["topic"]) for i in alert["story_ids"])


def test_a_history_too_short_to_learn_from_says_so(tmp_path: Path) -> None:
    stories, out = tmp_path / "s.csv", tmp_path / "o.json"
    stories.write_text("published_at,topic,sentiment\n2026-01-01T00:00:00Z,a,negative\n")
    assert run("backtest", "--stories", stories, "--json", out).exit_code == 0
    found = json.loads(out.read_text())
    assert found["alerts"] == []
    assert "learn" in found["remark"]


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        ("backtest --stories {f} --json o", "published_at,topic\n2026-01-01,a\n", "sentiment"),
        ("backtest --stories {f} --json o", "published_at,topic,sentiment\nx,a,neutral", "line 2"),
        (
            "backtest --stories {f} --json o",
            "published_at,topic,sentiment\n1e15,a,neutral",
            "1970 to 2200",
        ),
        ("train --data {f} --output m", "text\nhello\n", "sentiment"),
        ("train --data {f} --output m", "text,sentiment\nhello,positive\n", "at least 2 rows"),
        ("train --data {f} --output m", "text,sentiment\na,positive\nb,positive\n", "different"),
        ("train --data {f} --output m", "text,sentiment\na,good\nb,bad\n", "line 2"),
        ("import --stories {f}", "title\nOil\n", "published_at"),
        ("import --sources {f}", "name,url\nA,nowhere\n", "http"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "f.csv"
    path.write_text(text)
    result = run(*command.format(f=path).split())
    assert isinstance(result.exception, TrefoilError), result.output
    assert told in str(result.exception)
    assert "\n" not in str(result.exception)


def test_wrong_usage_ends_with_status_2(tmp_path: Path) -> None:
    assert run("import").exit_code == 2
    assert run("train").exit_code == 2
    path = tmp_path / "s.csv"
    path.write_text("title,published_at\nOil,2026-01-01\n")
    assert run("import", "--stories", path, "--leave-out-last-hours", 3).exit_code == 2
    assert run("import", "--stories", path, "--anchor", "yesterday").exit_code == 2


def test_import_brings_files_into_the_database(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("title,offset_minutes,sentiment\nOil falls,-60,negative\nOil,0,\n")
    result = run("import", "--stories", path, "--rebase-to-now")
    assert "2 of 2 added" in result.output
    assert "1 without a label" in result.output
