"""What Airflow runs: the functions of tasks, where they run, notices, metrics, lineage events. DAG files stay thin."""
