"""What people ask for besides photos: commands, their photos, their settings, and that everything be deleted."""
