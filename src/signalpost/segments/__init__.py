"""Segments: one rule over a person's history, as a sentence, as a function of a person and a moment, as SQL.

rules      a rule as a value
language   the words of the language, what each takes, and an example
operands   what stands in a rule's lines: events, spans, windows, dates, shares
ladders    tiers of an event's age, made by one line
reading    a rule read from the workspace file, every mistake with its line
sentences  a rule as a sentence
catalog    all segments of a workspace: declared, ladders, value tiers, journeys
checking   what is wrong with a file's segments, tiers, audiences and journeys together
kinds      every kind of person that rules can tell apart
tiers      whether segments exclude one another and leave no gap, proved or sampled
bands      bounds of value tiers, and hysteresis
live       who is inside at a moment, and when that changes next
explain    why somebody is in or out, and what changes next
forecast   how many enter and leave if nothing happens
sql        the same rule as SQL
tables     the exported history, which that SQL asks
reach      what a rule leaves possible: at which ages of an event, and right after one
uses       what of a workspace goes by each segment
flows      people on their way through tiers
guards     what about the segments, audiences and journeys of a workspace costs money
"""

from __future__ import annotations
