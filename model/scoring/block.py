"""What is scored side by side: embeddings, and rules."""

from model.encoded_block import EncodedBlock
from model.rules.rule_block import RuleBlock

Block = EncodedBlock | RuleBlock
"""Both have a name, say who speaks in them and how much, and score all entities, or candidates, as
answers."""
