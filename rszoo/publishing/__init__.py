"""From an entry to the Hub: cards, checks, publication, leaderboard, import of checkpoints."""
