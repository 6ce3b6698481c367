"""The sample graph: a small invented world in pictures, sounds, clips, texts and numbers.

Every attribute of its things is drawn independently of the others and shows in one modality only,
so that a modality's worth for a relation is known before anything is learnt.

`vocabulary` names what there is, `world` draws the things, `facts` states the truth about them
and `splits` deals it out; `pictures` (with `outlines`), `sounds`, `clips`, `texts` and
`measurements` show it and `media` files it; `broken` adds files nothing can decode, `guide`
explains it all to the reader, and `write` puts it into a folder.
"""

from extractors.sample.write import SampleSummary, write_sample

__all__ = ["SampleSummary", "write_sample"]
