"""Which call goes wrong, and how: rules, a plan that counts, and the carrying out."""
