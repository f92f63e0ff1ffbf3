"""What in a text is personal data, and how does the text read without it?

    plain.py       the text as the patterns read it, and which word stands beside a number
    addresses.py   e-mail, IP, secrets inside URLs
    numbers.py     IBAN, national ids, payment cards
    phones.py      phone numbers
    redaction.py   all of them together: `redact`, `redact_rows`

What is found is a pattern with a check behind it (check digits, number plans), so order numbers,
amounts and dates stay. Names and street addresses are not looked for.
"""

from core.privacy.redaction import KINDS, Redacted, describe, for_training, redact, redact_rows

__all__ = ["KINDS", "Redacted", "describe", "for_training", "redact", "redact_rows"]
