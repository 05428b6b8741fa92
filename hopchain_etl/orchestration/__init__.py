"""What Airflow runs: the functions of tasks, where they run, and failure notices. DAG files stay thin."""
