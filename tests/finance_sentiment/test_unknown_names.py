"""Is a misspelt topic or company named, and everything that can come true left alone?"""

from __future__ import annotations

from services.finance_sentiment.channels import Channel
from services.finance_sentiment.rules import Rule
from services.finance_sentiment.series import company_series
from services.finance_sentiment.silences import Matcher
from services.finance_sentiment.unknown_names import unknown_names

TOPICS, COMPANIES = ("banking", "energy"), ("Meridian Bank",)


def rule(series: str) -> Rule:
    return Rule("sours", 0.5, 10, 6, topic=series)


def channel(*matchers: Matcher) -> Channel:
    return Channel("desk", "webhook", "https://desk.example", matchers)


def test_a_rule_for_a_topic_or_company_that_nobody_knows_is_named() -> None:
    rules = [rule("bankng"), rule(company_series("Meridien Bank"))]
    assert unknown_names(rules, [], TOPICS, COMPANIES) == [
        "the rule sours waits for the topic 'bankng', which is not known; "
        "known are: banking, energy",
        "the rule sours waits for the company 'Meridien Bank', which is not known; "
        "known are: Meridian Bank",
    ]


def test_a_company_is_unknown_where_no_list_is_set() -> None:
    [said] = unknown_names([], [channel(Matcher("company", "=", "Meridian Bank"))], TOPICS, ())
    assert said.startswith("the channel desk waits for the company 'Meridian Bank'")
    assert said.endswith("known are: none")


def test_what_can_come_true_is_left_alone() -> None:
    rules = [rule(""), rule("banking"), rule(company_series("Meridian Bank"))]
    channels = [
        channel(),
        channel(Matcher("topic", "=", "energy"), Matcher("company", "=", "")),
        channel(Matcher("topic", "!=", "bankng"), Matcher("topic", "^=", "ban")),
        channel(Matcher("detector", "=", "news"), Matcher("test", "=", "true")),
    ]
    assert unknown_names(rules, channels, TOPICS, COMPANIES) == []
