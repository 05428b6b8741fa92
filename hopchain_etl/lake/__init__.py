"""Storage of every table, photo and raw answer: object storage, shards with markers, and the lock of ingest."""
