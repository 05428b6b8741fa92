"""What the DAG hopchain_admin runs: commands of ``hopchain`` in a task, where Airflow's Connections are at hand."""
