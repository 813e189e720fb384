"""What a package is, how its recipe is read, and what the recipe's build() is given."""
