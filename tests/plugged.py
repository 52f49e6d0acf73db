"""A real distribution of another package, installed into a folder: what it brings is found by its entry points."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent / "other_package" / "bandit_trainer.py"
ENTRIES = """[stateset_gym.trainers]
bandit = bandit_trainer:Bandit
broken = bandit_trainer:Broken
missing = bandit_trainer_that_is_gone:Bandit
sft = bandit_trainer:Bandit

[stateset_gym.policies]
said = bandit_trainer:load
"""


def install(site: Path) -> Path:
    """What an installer leaves of the distribution `bandit-trainer`."""
    info = site / "bandit_trainer-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bandit-trainer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    shutil.copy(SOURCE, site)
    return site


@contextmanager
def installed(site: Path) -> Iterator[Path]:
    """The same, for this process too."""
    sys.path.insert(0, str(install(site)))
    try:
        yield site
    finally:
        sys.path.remove(str(site))
        sys.modules.pop("bandit_trainer", None)
