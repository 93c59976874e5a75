"""The one transformer that every backbone is converted to, and what methods put into it."""
