"""The main job on one machine: sample photos, an S3 server, Airflow, a release, its pull and its check."""
