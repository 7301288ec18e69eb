"""The loop: a function from a transcript to an answer; the toolbox; pure passes over a transcript."""
