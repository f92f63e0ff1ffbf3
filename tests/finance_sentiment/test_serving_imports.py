"""Does a server start and answer without the libraries that only training needs?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.finance_sentiment.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from fastapi.testclient import TestClient
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings
import services.finance_sentiment.worker

with TestClient(create_app(Settings())) as client:
    answer = client.post("/v1/classify", json={"texts": ["bank hit by losses", "净利润"]})
    assert answer.status_code == 200, answer.text
    assert client.get("/v1/trends").status_code == 200
heavy = {"torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow"}
print(sorted(heavy & set(sys.modules)))
"""


def test_serving_needs_no_training_library(live_settings: Settings) -> None:
    environment = {
        "TREFOIL_VAR": str(live_settings.var_dir),
        "TREFOIL_FINANCE_SENTIMENT_DATABASE_URL": live_settings.database_url,
        "TREFOIL_FINANCE_SENTIMENT_MODELS_DIR": str(live_settings.models_dir),
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
