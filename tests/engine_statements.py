"""Statements run through an engine of SQLAlchemy, each as it is."""

from __future__ import annotations


def execute(engine, *statements):
    """Run statements in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
