"""Write docs/loss-paths.md: the paths of loss and the tests that provoke them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.storage.losspaths.page import PAGE, page
from tests.storage.test_loss_paths import PAIRS

if __name__ == "__main__":
    PAGE.write_text(page(PAIRS))
