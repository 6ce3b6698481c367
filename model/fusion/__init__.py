"""How modalities become one: complementarity, relevance, CMKF, and fusions with learned weights."""
