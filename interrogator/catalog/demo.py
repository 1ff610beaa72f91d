"""What the rows of the demo models share."""

from pathlib import Path

DEMO_FOLDER = Path(__file__).parent.parent / "demo"
DEMO_USE = "in the package; knows cartoon creatures only"
