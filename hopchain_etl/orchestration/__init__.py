"""What Airflow runs: the bodies of tasks, where they run, and who is told of failures. DAG files stay thin."""
