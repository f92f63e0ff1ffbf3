"""Does every channel get the bytes that its documentation asks for, whatever a feed wrote?

The webhook is held against Alertmanager's documentation of its payload (webhook_config, version 4),
the push against its page on sending alerts (API v2).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.delivery import FIRING, RESOLVED
from services.finance_sentiment.payloads import (
    BELIEVED_FOR,
    NO_END,
    PUSH_EVERY,
    fingerprint,
    harmless,
    message_id,
    plain_text,
    pushed_alert,
    rfc3339,
    signed,
    slack_body,
    webhook_body,
)
from services.finance_sentiment.wording import (
    Note,
    alert_note,
    headline,
    outage_note,
    trial_note,
)
from tests.finance_sentiment.conftest import NOW

HOME = "https://news.example"
ALERT: dict[str, Any] = {
    "id": 7,
    "topic": "banking",
    "detector": "beta_binomial_cusum",
    "onset_at": NOW - timedelta(hours=6),
    "started_at": NOW,
    "resolved_at": None,
    "is_test": False,
    "evidence": {"stories": 40, "negative": 25, "stories_at_start": 37, "negative_at_start": 23},
    "explanation": {
        "band": {"expected": 0.21, "seen": 0.62},
        "sources": {"sources": 9},
        "one_source": None,
        "would_not_have_fired_without": {"stories": [], "sources": []},
    },
}
STORY = headline("Bank fails", "https://wire.example/1", ["Wire", "Post", "Times", "Sun"])
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def note(event: Any = FIRING, *headlines: Any, home: str = HOME, **other: Any) -> Note:
    return alert_note({**ALERT, **other}, headlines or [STORY], event, home)


def over() -> Note:
    return note(RESOLVED, resolved_at=NOW + timedelta(hours=3))


# --- what is said -------------------------------------------------------------------------------


def test_an_alert_says_what_a_person_wants_to_know() -> None:
    said = note()
    assert said.summary == "banking: 62 % negative, normally 21 %"
    assert said.details == (
        "23 of 37 stories negative since 2026-03-02 06:30 UTC, from 9 sources.",
    )
    assert (said.headlines[0].title, said.headlines[0].sources) == (
        "Bank fails",
        "Wire, Post, Times and 1 more",
    )
    assert said.link == "https://news.example/alerts/7"


def test_a_count_is_told_as_a_count() -> None:
    basis = {"expected_stories": [10.0, 20.0], "share": [0.2, 0.2]}
    explanation = {**ALERT["explanation"], "basis": basis}
    said = note(detector="negative_binomial_cusum", explanation=explanation)
    assert said.summary == "banking: 23 negative stories, normally 6"


def test_a_rule_is_told_with_its_limit() -> None:
    evidence = {"stories": 10, "negative": 6, "negative_share_wanted": 0.5}
    said = note(detector="rule:half", explanation=None, evidence=evidence)
    assert said.summary == "banking: 60 % negative, your limit is 50 %"
    assert "By your rule half." in said.details


def test_a_company_is_told_by_its_name_and_has_a_label_of_its_own() -> None:
    said = note(topic="company:Meridian Bank")
    assert said.summary == "Meridian Bank: 62 % negative, normally 21 %"
    assert webhook_body(said, "desk")["groupLabels"] == {
        "alertname": "NegativeNews",
        "company": "Meridian Bank",
    }


def test_an_alert_of_one_source_and_one_of_half_the_news_carry_a_warning() -> None:
    one = note(explanation={**ALERT["explanation"], "one_source": "Wire"})
    assert "Careful: all negative stories come from one source, Wire." in one.details
    needed = {"would_not_have_fired_without": {"sources": ["Wire"]}}
    assert "Without Wire it would not have fired." in note(explanation=needed).details
    half = note(evidence={**ALERT["evidence"], "news": "degraded"})
    assert "Not all feeds answer: some of the news are missing." in half.details


def test_a_drill_is_marked_as_a_test_in_words_and_labels() -> None:
    said = note(is_test=True)
    assert said.summary.startswith("TEST: ")
    assert said.labels["test"] == "true"
    assert said.details[0] == "This is a drill: the stories are made up."


def test_the_end_says_how_long_it_lasted() -> None:
    said = over()
    assert said.summary == "Over: banking is no longer unusually negative"
    assert "It lasted from 2026-03-02 12:30 UTC to 2026-03-02 15:30 UTC." in said.details
    assert (said.headlines, said.ends_at) == ((), NOW + timedelta(hours=3))


def test_an_outage_says_that_nothing_is_watched() -> None:
    outage = {"started_at": NOW, "ended_at": None, "reason": "none of 3 feeds answers"}
    said = outage_note(outage, FIRING, HOME)
    assert said.summary == "No news come in: nothing is watched"
    assert said.labels == {"alertname": "NewsOutage", "detector": "news", "test": "false"}
    over = outage_note({**outage, "ended_at": NOW + timedelta(hours=1)}, RESOLVED, HOME)
    assert over.summary == "News come in again"
    assert over.labels == said.labels


def test_a_note_comes_out_of_the_outbox_as_it_went_in() -> None:
    for said in (note(), over(), trial_note("desk", NOW, "")):
        assert Note.from_json(json.loads(json.dumps(said.to_json()))) == said


# --- Alertmanager's webhook, field by field -----------------------------------------------------


def test_the_webhook_has_just_the_fields_of_version_4_with_their_types() -> None:
    body = webhook_body(note(), "desk")
    kinds = {name: type(value) for name, value in body.items()}
    assert kinds == {
        "version": str,
        "groupKey": str,
        "truncatedAlerts": int,
        "status": str,
        "receiver": str,
        "groupLabels": dict,
        "commonLabels": dict,
        "commonAnnotations": dict,
        "externalURL": str,
        "alerts": list,
    }
    [alert] = body["alerts"]
    assert {name: type(value) for name, value in alert.items()} == {
        "status": str,
        "labels": dict,
        "annotations": dict,
        "startsAt": str,
        "endsAt": str,
        "generatorURL": str,
        "fingerprint": str,
    }
    for labels in (body["groupLabels"], body["commonLabels"], alert["labels"]):
        assert labels and all(isinstance(v, str) and v for v in labels.values())
    assert all(isinstance(v, str) for v in alert["annotations"].values())


def test_the_webhook_says_of_a_firing_alert_what_alertmanager_would() -> None:
    body = webhook_body(note(), "desk")
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "desk")
    assert (body["truncatedAlerts"], body["externalURL"]) == (0, HOME)
    assert body["groupKey"] == '{}:{alertname="NegativeNews", topic="banking"}'
    assert body["groupLabels"] == {"alertname": "NegativeNews", "topic": "banking"}
    [alert] = body["alerts"]
    assert alert["labels"] == body["commonLabels"]
    assert alert["annotations"] == body["commonAnnotations"]
    assert alert["annotations"]["headline_1_url"] == "https://wire.example/1"
    assert (alert["status"], alert["endsAt"]) == ("firing", NO_END)
    assert alert["startsAt"] == "2026-03-02T12:30:00Z"
    assert alert["generatorURL"] == "https://news.example/alerts/7"


def test_the_webhook_of_the_end_is_of_the_same_group_and_alert() -> None:
    start, end = webhook_body(note(), "desk"), webhook_body(over(), "desk")
    assert end["status"] == end["alerts"][0]["status"] == "resolved"
    assert end["groupKey"] == start["groupKey"]
    assert end["alerts"][0]["fingerprint"] == start["alerts"][0]["fingerprint"]
    assert end["alerts"][0]["startsAt"] == start["alerts"][0]["startsAt"]
    assert end["alerts"][0]["endsAt"] == "2026-03-02T15:30:00Z"


def test_a_label_with_quotes_does_not_break_the_group_key() -> None:
    key = webhook_body(note(topic='a"b\\c'), "desk")["groupKey"]
    assert key == '{}:{alertname="NegativeNews", topic="a\\"b\\\\c"}'


def test_the_fingerprint_is_prometheus_s() -> None:
    # FNV-1a of nothing is its offset; one label, worked through by the published constants.
    assert fingerprint({}) == "cbf29ce484222325"
    found = 0xCBF29CE484222325
    for byte in b"alertname\xffx\xff":
        found = ((found ^ byte) * 0x100000001B3) % 2**64
    assert fingerprint({"alertname": "x"}) == f"{found:016x}"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=5))
def test_the_fingerprint_has_16_digits_and_does_not_hang_on_the_order(
    labels: dict[str, str],
) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(labels))
    assert fingerprint(labels) == fingerprint(dict(reversed(labels.items())))


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_rfc_3339(moment: datetime) -> None:
    assert RFC3339.fullmatch(rfc3339(moment))
    assert datetime.fromisoformat(rfc3339(moment)) == moment


# --- the push to an Alertmanager ----------------------------------------------------------------


def test_a_firing_alert_is_pushed_with_an_end_in_the_near_future() -> None:
    alert = pushed_alert(note(), NOW + timedelta(hours=1))
    assert set(alert) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert alert["startsAt"] == rfc3339(NOW)
    assert alert["endsAt"] == rfc3339(NOW + timedelta(hours=1) + BELIEVED_FOR)
    assert BELIEVED_FOR > 3 * PUSH_EVERY


def test_a_resolved_alert_is_pushed_with_its_end_and_the_same_labels() -> None:
    start, end = pushed_alert(note(), NOW), pushed_alert(over(), NOW + timedelta(days=1))
    assert end["endsAt"] == "2026-03-02T15:30:00Z"
    assert end["labels"] == start["labels"]


def test_without_an_address_of_ours_none_is_pushed() -> None:
    assert "generatorURL" not in pushed_alert(note(home=""), NOW)
    assert webhook_body(note(home=""), "desk")["externalURL"] == ""


# --- Slack, mail and plain text -----------------------------------------------------------------


def test_slack_gets_text_and_blocks_with_links() -> None:
    body = slack_body(note())
    header, section = body["blocks"]
    assert header["text"] == {"type": "plain_text", "text": body["text"]}
    lines = section["text"]["text"].split("\n")
    assert lines[1] == "• <https://wire.example/1|Bank fails> (Wire, Post, Times and 1 more)"
    assert lines[-1] == "<https://news.example/alerts/7|Open the alert>"


def test_a_title_cannot_call_a_channel_or_forge_a_link_in_slack() -> None:
    story = headline("<!channel> & <https://evil.example|click>", "https://a.example/?a=1|b>", [])
    text = slack_body(note(FIRING, story))["blocks"][1]["text"]["text"]
    assert "• <https://a.example/?a=1%7Cb&gt;|&lt;!channel&gt; &amp; &lt;https" in text
    assert re.findall(r"<([^|>]*)[|>]", text) == [
        "https://a.example/?a=1%7Cb&gt;",
        "https://news.example/alerts/7",
    ]


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=300)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_whatever_a_feed_writes_stays_text_of_a_bounded_size(
    topic: str, title: str, source: str
) -> None:
    said = note(FIRING, headline(title, "https://a.example/" + title, [source]), topic=topic)
    assert all(len(line.splitlines()) == 1 for line in [said.summary, *said.details])
    assert "\n" not in said.headlines[0].title + said.headlines[0].sources + said.headlines[0].url
    slack = json.dumps(slack_body(said))
    assert len(slack) < 12_000
    text = slack_body(said)["blocks"][1]["text"]["text"]
    assert len(re.findall("<", text)) == 1 + bool(said.headlines[0].url)
    json.dumps(webhook_body(said, "desk")).encode()
    assert len(plain_text(said)) < 4_000


def test_plain_text_holds_what_counts_with_links() -> None:
    text = plain_text(note())
    assert text.splitlines() == [
        "23 of 37 stories negative since 2026-03-02 06:30 UTC, from 9 sources.",
        "",
        "Bank fails (Wire, Post, Times and 1 more)",
        "https://wire.example/1",
        "",
        "The alert: https://news.example/alerts/7",
    ]


def test_nobody_is_called_by_an_at_sign_in_a_title() -> None:
    assert "@everyone" not in harmless("read @everyone")
    assert harmless("read @everyone").replace("\u200b", "") == "read @everyone"


def test_a_link_that_no_reader_may_follow_is_left_out() -> None:
    said = note(FIRING, headline("x", "javascript:alert(1)", []))
    assert said.headlines[0].url == ""
    assert "javascript" not in plain_text(said)


# --- headers ------------------------------------------------------------------------------------


def test_a_receiver_can_check_the_signature_as_the_documentation_says() -> None:
    headers = signed("s3cret", 1_772_454_600, b'{"version": "4"}')
    expected = hmac.new(b"s3cret", b'1772454600.{"version": "4"}', hashlib.sha256).hexdigest()
    assert headers == {
        "x-trefoil-timestamp": "1772454600",
        "x-trefoil-signature": f"sha256={expected}",
    }


def test_a_mail_has_one_name_however_often_it_is_sent() -> None:
    assert message_id("k", "a@b.example") == message_id("k", "a@b.example")
    assert message_id("k", "a@b.example") != message_id("l", "a@b.example")
    assert re.fullmatch(r"<[0-9a-f]{40}@b\.example>", message_id("k\r\nX: y", "a@b.example"))
