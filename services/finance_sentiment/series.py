"""What is watched: a topic or a company, and under which key?

Pure. A series is named by its topic, or by "company:" and the company's name, wherever a topic's
name stands: in counts, baselines, alerts and states. A story counts in the series of its topic, by
its own sentiment, and in that of every company that it names, by the sentiment towards that one.
"""

from __future__ import annotations

_COMPANY = "company:"


def company_series(company: str) -> str:
    """The key of a company's series."""
    return f"{_COMPANY}{company}"


def company_of(series: str) -> str | None:
    """The company of a series, None for that of a topic."""
    return series.removeprefix(_COMPANY) if series.startswith(_COMPANY) else None


def series_labels(series: str) -> dict[str, str | None]:
    """`topic` and `company`, one of them None."""
    company = company_of(series)
    return {"topic": series if company is None else None, "company": company}
