"""What several tests use: engines, servers, lakes, scenes and an independent reader of questions."""
