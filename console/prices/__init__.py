"""/prices: what models cost, for root; every change is shown before it is made."""
