"""From snapshot to tagged version: selection, rows, card, and the registry in git and DVC."""
