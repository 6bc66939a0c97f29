"""The bot: plans what has not been run, runs it, publishes it, goes on after anything."""
