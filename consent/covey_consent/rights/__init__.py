"""The rights desk: what a person asks of their own records, by when it is answered, and how."""
