"""What model calls cost: their prices, the meter in front of every model, budgets, and what was used."""
