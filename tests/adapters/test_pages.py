"""Generated pages say what the code says."""

import pytest

from adapters.pages import PAGES, ROOT, text_of


@pytest.mark.parametrize("page", PAGES)
def test_has_not_drifted(page: str):
    assert (ROOT / page).read_text() == text_of(page), "run `make docs`"
