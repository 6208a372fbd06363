"""Adds to setup.cfg the one thing that it cannot say: the README with absolute links, as PyPI follows no others."""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

root = Path(__file__).parent
metadata = ConfigParser()
metadata.read(root / "setup.cfg", encoding="utf-8")
readme = (root / "README.md").read_text(encoding="utf-8")
url = metadata["metadata"]["url"]
readme = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:)", rf"\1{url}/raw/main/", readme)
setup(long_description=re.sub(r"(?<=\]\()(?![a-z]+:|#)", f"{url}/blob/main/", readme))
