"""Rows of a Spark session."""

from __future__ import annotations

from typing import Any

from datastoresync.engines.relation import BranchDescription, Relation, SourceEngine
from datastoresync.syncers.records import Records


class SparkEngine(SourceEngine):
    """Leaves the rows of DataFrames in their session."""

    name = asked = "spark"
    frames = "pyspark.sql."

    def relation(self, source: Any, branch: BranchDescription, options: Any, *, automatic: bool) -> Relation:
        """Return the rows of a DataFrame, which stays one; see `SourceEngine`."""
        del options, automatic
        from datastoresync.engines.spark.relation import SparkRelation  # few have a session

        return SparkRelation(source, branch.schema, name=branch.name)

    def records(self, source: Any) -> Records:
        """Return the rows of a DataFrame for an import row by row."""
        from datastoresync.engines.spark.dataframe import read_spark  # as above

        return read_spark(source)


ENGINE = SparkEngine()
