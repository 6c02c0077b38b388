"""How a run stands, read off its folder."""
