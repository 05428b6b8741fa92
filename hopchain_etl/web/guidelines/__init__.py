"""The guidelines for annotators: text, pictures, editions."""
