"""What two or more of the blueprint folders use. No triggers here."""
