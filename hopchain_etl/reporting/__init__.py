"""Quality figures of a build, and its report as one HTML page."""
