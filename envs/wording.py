"""The engine's own words: what is wrong with an action, and how a conversation ended.

A line of the engine's begins with a bracket, so that no reader takes it for the customer's; customers never begin so.
"""

from __future__ import annotations

from .memory import Fact

ENDS = {
    "closed": "the conversation is closed",
    "handed_over": "a human agent takes over",
    "left": "the customer has left",
    "out_of_turns": "no turns are left",
}


def note(fact: Fact) -> str:
    """One line for a malformed or refused action, a breach of a house rule, or the end; the fact is given its words."""
    kind = fact["kind"]
    if kind == "end":
        line = f"[end] {ENDS[fact['why']]}"
    elif kind == "refused":
        line = f"[{fact['act']} refused] {fact['why']}"
    elif kind == "violation":
        line = f"[{fact['rule']}] {fact['why']}"
    else:
        line = f"[malformed] {fact['why']}"
    fact["words"] = [line]
    return line


def sentence(head: str, tail: str) -> str:
    """Two parts of a phrase as one sentence."""
    text = f"{head} {tail}" if head else tail
    end = "" if text[-1] in ".!?" else "."
    return f"{text[0].upper()}{text[1:]}{end}"
