"""Tests of the chart need helm; without it each of them is skipped by its name."""

import pytest

from tests.chart import HELM, WITHOUT_HELM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if HELM is not None:
        return
    for item in items:
        if item.get_closest_marker("helm"):
            item.add_marker(pytest.mark.skip(reason=WITHOUT_HELM))
