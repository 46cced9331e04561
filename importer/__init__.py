"""Moving in: what an existing One API database holds, brought over and accounted for."""
