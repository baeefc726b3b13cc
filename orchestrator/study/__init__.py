"""The paper's study and its claims."""
