"""Self-evolving System-2 math reasoning for small language models: rStar-Math and rStar."""
