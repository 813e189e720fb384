"""The words that every other part uses: data without behaviour, all of it frozen."""
