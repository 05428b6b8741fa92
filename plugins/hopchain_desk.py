"""The annotation desk in Airflow's navigation, for an installation without the package's entry point.

An installed `hopchain-etl` brings the plugin itself (entry point `airflow.plugins`), so that nothing has to be copied.
Where only its source is on the path, Airflow finds the plugin here.
"""

from __future__ import annotations

from importlib.metadata import entry_points

if "hopchain_desk" not in entry_points(group="airflow.plugins").names:
    from hopchain_etl.web.airflow_plugin import HopChainDesk

    __all__ = ["HopChainDesk"]
