"""What sees and writes: engines behind small protocols, each chosen by name and imported at use."""
