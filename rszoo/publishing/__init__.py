"""From an entry to the Hub: cards, checks, publication, the leaderboard, and the import of checkpoints."""
