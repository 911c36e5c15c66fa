//! One connection to one broker: requests pipelined, answers in order. Not here: which broker, and what is asked of it.
