"""What a library keeps in its folder, and whether it is sound."""
