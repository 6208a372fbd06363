"""A Spark session in this process, with two cores, for the tests that are marked `spark`."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def started(folder):
    """Return the session of this process, which is started if there is none; skips where it cannot be."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17: apt-get install openjdk-17-jre-headless")
    pytest.importorskip("pyspark", reason="pip install 'datastoresync[spark]'")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a pandas that is newer than itself
        from pyspark.sql import SparkSession

        return (
            SparkSession.builder.master("local[2]")
            .appName("datastoresync")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.memory", "1g")
            # Queries are short here: what is compiled most thoroughly is never run often enough.
            .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            # Executors import from where this process does.
            .config("spark.executorEnv.PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
            .config("spark.executorEnv.DATASTORESYNC_TEST", str(folder))
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.adaptive.coalescePartitions.parallelismFirst", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
            .config("spark.local.dir", str(folder / "local"))
            .config("spark.log.level", "OFF")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
